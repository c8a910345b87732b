using System.Runtime.CompilerServices;

namespace Dalle.Data.Sources;

/// <summary>
/// Google's emoji artwork, 64 x 64 pixels, about 3,800 pictures: real drawings small enough to learn in an hour. Fetched once with the npm client. Names, short names,
/// category and keywords are the captions; drawings that differ only in skin tone, gender or direction are one group. The id is the emoji's code points.
/// </summary>
public sealed class EmojiSource(SampleSourceOptions? options = null) : ISampleSource
{
    private const string Folder = "img/google/64/";
    private const int MaxListBytes = 16 << 20;

    private static readonly NpmPackage Artwork = new("emoji-datasource-google", "16.0.0");
    private static readonly NpmPackage Keywords = new("emojilib", "4.0.3");

    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => $"emoji ({Artwork.Name} {Artwork.Version}, {Keywords.Name} {Keywords.Version})";

    public string? Licence => _options.Licence ?? "Artwork: Noto Emoji by Google, Apache-2.0. Names: emoji-datasource, MIT. Keywords: emojilib, MIT.";

    public async IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var packages = _options.PackageFolder ?? Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "dalle", "packages");
        var artwork = await Artwork.Fetch(packages, cancellationToken);
        var names = await ReadList(artwork, "emoji.json", cancellationToken);
        var keywords = await ReadList(await Keywords.Fetch(packages, cancellationToken), "dist/emoji-en-US.json", cancellationToken);
        var emoji = EmojiCaptions.Read(names, keywords);

        await foreach (var (name, entry) in NpmPackage.Files(artwork, cancellationToken))
        {
            if (!name.StartsWith(Folder, StringComparison.Ordinal))
            {
                continue;
            }
            var file = name[Folder.Length..];
            var id = Path.GetFileNameWithoutExtension(file);
            if (!emoji.TryGetValue(file, out var known))
            {
                rejected(id, RejectionReason.CaptionMissing);
            }
            else if (entry.Length > _options.MaxPictureBytes)
            {
                rejected(id, RejectionReason.PictureTooLarge);
            }
            else
            {
                yield return new Sample(id, _options.CleanCaptions(known.Captions), await NpmPackage.ReadAll(artwork, entry, cancellationToken)) { Group = known.Group };
            }
        }
    }

    private static async Task<byte[]> ReadList(string archive, string name, CancellationToken cancellationToken)
    {
        await foreach (var (file, entry) in NpmPackage.Files(archive, cancellationToken))
        {
            if (file == name && entry.Length <= MaxListBytes)
            {
                return await NpmPackage.ReadAll(archive, entry, cancellationToken);
            }
        }
        throw new SourceException($"'{archive}' does not hold {name}. Delete it to fetch the package again.");
    }
}
