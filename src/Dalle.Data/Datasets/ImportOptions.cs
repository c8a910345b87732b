using Dalle.Data.Filters;
using Dalle.Data.Pictures;

namespace Dalle.Data.Datasets;

/// <summary>How a source becomes a dataset.</summary>
public sealed record ImportOptions
{
    /// <summary>What is left out.</summary>
    public SampleFilters Filters { get; init; } = new();

    /// <summary>What a picture may cost to decode.</summary>
    public PictureLimits PictureLimits { get; init; } = PictureLimits.Default;

    /// <summary>Share of the samples kept for evaluation, chosen by a hash of their group or id, so that it does not change as the source grows. Default: 0.05.</summary>
    public double HeldOutShare { get; init; } = 0.05;

    /// <summary>Stop after this many accepted samples; null: all.</summary>
    public int? MaxSamples { get; init; }

    /// <summary>A shard is closed when it has grown past this many bytes. Default: 256 MiB.</summary>
    public long ShardBytes { get; init; } = 256L << 20;

    /// <summary>Whether a dataset already in the folder may be replaced (only when the new one is complete). Default: no.</summary>
    public bool Replace { get; init; }
}

/// <summary>How far an import has come.</summary>
/// <param name="Accepted">Samples written.</param>
/// <param name="Rejected">Samples left out.</param>
/// <param name="PictureBytes">Bytes of pictures written.</param>
public sealed record ImportProgress(long Accepted, long Rejected, long PictureBytes);
