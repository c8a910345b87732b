using System.Collections.Concurrent;
using Dalle.Data.Pictures;
using Dalle.Data.Sources;

namespace Dalle.Data.Datasets;

/// <summary>How an imported dataset is read.</summary>
public sealed record ShardDatasetOptions
{
    /// <summary>
    /// Shorter side that training needs at least, in pixels: large JPEGs are then decoded at a fraction of their size. Null: pictures come whole.
    /// </summary>
    public int? ShorterSide { get; init; }

    /// <summary>Memory for decoded pictures, in bytes; pictures read once it is full are decoded every time. Default: 256 MiB.</summary>
    public long CacheBytes { get; init; } = 256L << 20;
}

/// <summary>An imported dataset, read in any order from its shards. Thread-safe. Decoded pictures are kept and handed out again: their bytes must not be changed.</summary>
public sealed class ShardDataset : IDataset
{
    internal const string TrainingName = "train";
    internal const string HeldOutName = "held-out";

    // The importer has applied its limits, whatever they were.
    private static readonly PictureLimits Accepted = new() { MaxBytes = int.MaxValue, MaxPixels = int.MaxValue / 4 };

    private readonly ShardDatasetOptions _options;
    private readonly ShardSet _training;
    private readonly ShardSet _heldOut;
    private readonly ConcurrentDictionary<int, Picture> _decoded = new();
    private long _decodedBytes;

    private ShardDataset(string folder, ShardDatasetOptions options)
    {
        _options = options;
        Manifest = DatasetManifest.Load(folder);
        _training = ShardSet.Open(folder, TrainingName, Manifest.Training);
        try
        {
            _heldOut = ShardSet.Open(folder, HeldOutName, Manifest.HeldOut);
        }
        catch
        {
            _training.Dispose();
            throw;
        }
    }

    /// <summary>Opens a dataset folder.</summary>
    /// <exception cref="SourceException">Not a dataset, or one with files missing or changed.</exception>
    public static ShardDataset Open(string folder, ShardDatasetOptions? options = null) => new(folder, options ?? new());

    public DatasetManifest Manifest { get; }

    public int Count => TrainingCount + Manifest.HeldOut.Samples;

    public int TrainingCount => Manifest.Training.Samples;

    public string Fingerprint => Manifest.Fingerprint;

    public string GetId(int index) => ReadRecord(index).Id;

    public IReadOnlyList<string> GetCaptions(int index) => ReadRecord(index).Captions;

    /// <summary>Width and height of the sample's upright picture, without decoding it.</summary>
    public (int Width, int Height) GetPictureSize(int index)
    {
        var (part, number) = Locate(index);
        var location = part.Locate(number);
        return (location.Width, location.Height);
    }

    /// <summary>The sample's picture file.</summary>
    public byte[] ReadEncodedPicture(int index)
    {
        var (part, number) = Locate(index);
        return part.ReadPicture(number);
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">The shard has changed since it was imported.</exception>
    public Picture ReadPicture(int index)
    {
        if (_decoded.TryGetValue(index, out var known))
        {
            return known;
        }
        var picture = Decode(index);
        if (Interlocked.Add(ref _decodedBytes, picture.Rgb.Length) <= _options.CacheBytes)
        {
            return _decoded.GetOrAdd(index, picture);
        }
        Interlocked.Add(ref _decodedBytes, -picture.Rgb.Length);
        return picture;
    }

    public void Dispose()
    {
        _training.Dispose();
        _heldOut.Dispose();
    }

    internal SampleRecord ReadRecord(int index)
    {
        var (part, number) = Locate(index);
        return part.ReadRecord(number);
    }

    private Picture Decode(int index)
    {
        var encoded = ReadEncodedPicture(index);
        try
        {
            return _options.ShorterSide is { } side ? PictureDecoder.DecodeAtLeast(encoded, side, Accepted) : PictureDecoder.Decode(encoded, Accepted);
        }
        catch (PictureException refused)
        {
            throw new InvalidDataException($"The picture of sample '{GetId(index)}' could be decoded when it was imported and no longer can: {refused.Message} Import the dataset again.", refused);
        }
    }

    private (ShardSet Part, int Number) Locate(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return index < TrainingCount ? (_training, index) : (_heldOut, index - TrainingCount);
    }
}
