using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>
/// WebDataset shards: tar files (also .tar.gz) in which the files of one sample follow each other and share their name up to the first dot. Its picture is the first
/// picture file; its captions are "captions" (array) or "caption" of a .json, else the lines of a .txt. The id is shard/name.
/// A damaged shard gives the samples before the damage and is reported under the shard's name; reading goes on with the next shard.
/// </summary>
public sealed class TarSource(IReadOnlyList<string> shards, SampleSourceOptions? options = null) : ISampleSource
{
    private const int MaxNameLength = 512;

    private readonly SampleSourceOptions _options = options ?? new();

    public string Description => shards.Count == 1 ? $"shard {Path.GetFileName(shards[0])}" : $"{shards.Count} shards from {Path.GetFileName(shards[0])}";

    public string? Licence => _options.Licence;

    public async IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var shard in shards)
        {
            await using var file = File.OpenRead(shard);
            var compressed = shard.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) || shard.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase);
            await using var stream = compressed ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
            await using var tar = new TarReader(stream);
            var name = Path.GetFileName(shard);
            var parts = new SampleParts();
            while (await Next(tar, name, rejected, cancellationToken) is { } entry)
            {
                if (parts.Key != entry.Key)
                {
                    if (Finish(name, parts, rejected) is { } sample)
                    {
                        yield return sample;
                    }
                    parts = new SampleParts { Key = entry.Key };
                }
                parts.Add(entry);
            }
            if (Finish(name, parts, rejected) is { } last)
            {
                yield return last;
            }
        }
    }

    private async Task<Entry?> Next(TarReader tar, string shard, Action<string, RejectionReason> rejected, CancellationToken cancellationToken)
    {
        try
        {
            while (await tar.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
            {
                if (entry is { EntryType: TarEntryType.RegularFile or TarEntryType.V7RegularFile, Name.Length: <= MaxNameLength })
                {
                    return await Read(entry, cancellationToken);
                }
            }
        }
        catch (Exception damage) when (damage is IOException or InvalidDataException or FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            rejected(shard, RejectionReason.RecordMalformed);
        }
        return null;
    }

    private async Task<Entry> Read(TarEntry entry, CancellationToken cancellationToken)
    {
        var dot = entry.Name.IndexOf('.', entry.Name.LastIndexOf('/') + 1);
        var (key, extension) = dot < 0 ? (entry.Name, "") : (entry.Name[..dot], Path.GetExtension(entry.Name).ToLowerInvariant());
        var isPicture = PictureSignature.IsPictureName(entry.Name);
        var limit = isPicture ? _options.MaxPictureBytes : _options.MaxRecordBytes;
        if (!isPicture && extension is not (".txt" or ".json") || entry.Length > limit)
        {
            return new Entry(key, isPicture, extension, null);
        }
        var bytes = new byte[entry.Length];
        await (entry.DataStream ?? Stream.Null).ReadExactlyAsync(bytes, cancellationToken);
        return new Entry(key, isPicture, extension, bytes);
    }

    private Sample? Finish(string shard, SampleParts parts, Action<string, RejectionReason> rejected)
    {
        if (parts.Key is null)
        {
            return null;
        }
        var id = $"{Path.GetFileNameWithoutExtension(shard)}/{parts.Key}";
        var captions = _options.CleanCaptions(parts.ReadCaptions());
        RejectionReason? reason = parts switch
        {
            { HasPicture: false } => RejectionReason.PictureMissing,
            { Picture: null } => RejectionReason.PictureTooLarge,
            { Malformed: true } => RejectionReason.RecordMalformed,
            _ => captions.Count == 0 ? RejectionReason.CaptionMissing : null,
        };
        if (reason is { } known)
        {
            rejected(id, known);
            return null;
        }
        return new Sample(id, captions, parts.Picture);
    }

    /// <param name="Key">The file's name up to the first dot.</param>
    /// <param name="IsPicture">Whether the file is called a picture.</param>
    /// <param name="Extension">Lower case, with the dot.</param>
    /// <param name="Content">Null if it is over the limit or of no use here.</param>
    private sealed record Entry(string Key, bool IsPicture, string Extension, byte[]? Content);

    private sealed class SampleParts
    {
        private byte[]? _text;
        private byte[]? _json;

        public string? Key { get; init; }

        public bool HasPicture { get; private set; }

        public byte[]? Picture { get; private set; }

        /// <summary>A caption file was over the limit or is not what its name says.</summary>
        public bool Malformed { get; private set; }

        public void Add(Entry entry)
        {
            if (entry.IsPicture && !HasPicture)
            {
                (HasPicture, Picture) = (true, entry.Content);
            }
            else if (entry.Extension is ".txt" or ".json")
            {
                Malformed |= entry.Content is null;
                (_text, _json) = entry.Extension == ".txt" ? (entry.Content, _json) : (_text, entry.Content);
            }
        }

        public string[] ReadCaptions()
        {
            string[] captions = [];
            try
            {
                captions = _json is null ? [] : CaptionJson.Read(_json);
            }
            catch (JsonException)
            {
                Malformed = true;
            }
            return captions.Length > 0 || _text is null ? captions : Encoding.UTF8.GetString(_text).Split('\n');
        }
    }
}
