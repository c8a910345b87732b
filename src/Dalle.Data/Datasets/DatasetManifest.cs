using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Data.Filters;
using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>One shard file.</summary>
/// <param name="File">Its name in the dataset's folder.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Samples">Samples in it.</param>
public sealed record ShardFile(string File, long Bytes, int Samples);

/// <summary>One side of the split.</summary>
/// <param name="Samples">Samples in all.</param>
/// <param name="Captions">Captions in all.</param>
/// <param name="IndexChecksum">XxHash128 of the index file, in hex.</param>
/// <param name="Shards">The shard files, in order.</param>
public sealed record DatasetPart(int Samples, long Captions, string IndexChecksum, IReadOnlyList<ShardFile> Shards);

/// <summary>What an imported dataset holds and how it came about: manifest.json. It holds no time or machine name: the same import gives the same file.</summary>
public sealed record DatasetManifest
{
    public const string FileName = "manifest.json";

    /// <summary>Version of the folder's layout; raised when older readers would go wrong.</summary>
    public const int CurrentVersion = 2;

    private const int MaxBytes = 16 << 20;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter() },
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    public required int Version { get; init; }

    /// <summary>The source, in one line.</summary>
    public required string Source { get; init; }

    /// <summary>The licence of pictures and captions, in one line; null if unknown.</summary>
    public string? Licence { get; init; }

    /// <summary>The program that imported it.</summary>
    public required string Tool { get; init; }

    /// <summary>SHA-256 of all ids, captions and picture files in order.</summary>
    public required string Fingerprint { get; init; }

    public required SampleFilters Filters { get; init; }

    public required DatasetPart Training { get; init; }

    public required DatasetPart HeldOut { get; init; }

    /// <summary>Captions left out of samples that were kept.</summary>
    public long DroppedCaptions { get; init; }

    public required IReadOnlyDictionary<RejectionReason, RejectedSamples> Rejected { get; init; }

    internal byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <summary>Reads the manifest of a dataset folder.</summary>
    /// <exception cref="SourceException">There is none, or it cannot be used.</exception>
    public static DatasetManifest Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            if (!File.Exists(path))
            {
                throw new SourceException($"'{folder}' is not a dataset: it has no {FileName}. Make one with 'dalle data import SOURCE --out DIR'.");
            }
            if (new FileInfo(path).Length > MaxBytes)
            {
                throw new SourceException($"'{path}' is larger than {MaxBytes:N0} bytes; no import writes such a manifest.");
            }
            var manifest = JsonSerializer.Deserialize<DatasetManifest>(File.ReadAllBytes(path), Json) ?? throw new JsonException("It is null.");
            return manifest.Version == CurrentVersion
                ? manifest
                : throw new SourceException($"'{path}' has layout version {manifest.Version}; this program reads version {CurrentVersion}. Import the dataset again.");
        }
        catch (Exception unreadable) when (unreadable is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new SourceException($"'{path}' cannot be read: {unreadable.Message}", unreadable);
        }
    }
}
