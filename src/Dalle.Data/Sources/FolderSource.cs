using System.Runtime.CompilerServices;
using System.Text;
using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>
/// A folder of picture files, each with its captions in a text file of the same name beside it, one caption a line. Subfolders are read too; links and hidden
/// files are not. The id is the picture's path from the folder.
/// </summary>
public sealed class FolderSource(string folder, SampleSourceOptions? options = null) : ISampleSource
{
    private static readonly EnumerationOptions Visible = new() { AttributesToSkip = FileAttributes.Hidden | FileAttributes.System | FileAttributes.ReparsePoint };

    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => $"folder {Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))}";

    public string? Licence => _options.Licence;

    public async IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var pictures = new PictureFolder(folder, _options.MaxPictureBytes);
        foreach (var path in PicturesIn(Path.GetFullPath(folder)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var id = Path.GetRelativePath(folder, path).Replace('\\', '/');
            Sample? sample = null;
            try
            {
                var captions = await ReadCaptions(Path.ChangeExtension(path, ".txt"), cancellationToken);
                sample = captions.Count > 0
                    ? new Sample(id, captions, await pictures.Read(id, cancellationToken))
                    : throw new PictureException(RejectionReason.CaptionMissing, $"'{id}' has no caption.");
            }
            catch (PictureException broken)
            {
                rejected(id, broken.Reason);
            }
            if (sample is not null)
            {
                yield return sample;
            }
        }
    }

    private static IEnumerable<string> PicturesIn(string directory) =>
        Directory.EnumerateFiles(directory, "*", Visible).Where(PictureSignature.IsPictureName).Order(StringComparer.Ordinal)
            .Concat(Directory.EnumerateDirectories(directory, "*", Visible).Order(StringComparer.Ordinal).SelectMany(PicturesIn));

    private async Task<IReadOnlyList<string>> ReadCaptions(string path, CancellationToken cancellationToken)
    {
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists || file.Length == 0 || file.Attributes.HasFlag(FileAttributes.ReparsePoint))
            {
                return [];
            }

            return file.Length <= _options.MaxRecordBytes
                ? _options.CleanCaptions(Encoding.UTF8.GetString(await File.ReadAllBytesAsync(path, cancellationToken)).Split('\n'))
                : throw new PictureException(RejectionReason.RecordMalformed, $"'{path}' has {file.Length:N0} bytes; at most {_options.MaxRecordBytes:N0} of captions are read.");
        }
        catch (Exception missing) when (missing is IOException or UnauthorizedAccessException)
        {
            throw new PictureException(RejectionReason.CaptionMissing, missing.Message);
        }
    }
}
