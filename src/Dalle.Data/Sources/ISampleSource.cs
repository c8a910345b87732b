namespace Dalle.Data.Sources;

/// <summary>A captioned picture as its source holds it: the picture still encoded and not yet trusted.</summary>
/// <param name="Id">Stable: the same sample has the same id in every read of the source.</param>
/// <param name="Captions">Its captions, best first.</param>
/// <param name="EncodedPicture">The picture file's bytes.</param>
public sealed record Sample(string Id, IReadOnlyList<string> Captions, ReadOnlyMemory<byte> EncodedPicture)
{
    /// <summary>Samples of one group show the same thing (a drawing and its variants) and are held out together; null: the sample stands alone.</summary>
    public string? Group { get; init; }

    /// <summary>Whether the sample is for evaluation only, where the source itself says so; null: the importer decides by group or id.</summary>
    public bool? HeldOut { get; init; }
}

/// <summary>Somewhere captioned pictures come from. Reads are streams: nothing grows with the source.</summary>
public interface ISampleSource
{
    /// <summary>The source in one line, for people and manifests.</summary>
    string Description { get; }

    /// <summary>The licence of its pictures and captions in one line; null if unknown.</summary>
    string? Licence { get; }

    /// <summary>All samples, in a stable order. A broken sample is reported to <paramref name="rejected"/>, never thrown.</summary>
    /// <param name="rejected">Told of samples that cannot be read: the id and the reason.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    IAsyncEnumerable<Sample> Read(Action<string, RejectionReason> rejected, CancellationToken cancellationToken = default);
}

/// <summary>Why a sample is not used. Names are part of the manifest: append only.</summary>
public enum RejectionReason
{
    CaptionMissing = 0,
    CaptionTooShort = 1,
    CaptionBoilerplate = 2,
    CaptionLanguage = 3,
    AspectRatio = 4,
    PictureMissing = 5,
    PictureCorrupt = 6,
    PictureTooLarge = 7,
    PictureUnsupported = 8,
    PictureEmpty = 9,
    RecordMalformed = 10,
    PictureRepeated = 11,
}

/// <summary>A source or dataset cannot be opened as it was named: says what was expected, what came and what to do.</summary>
public sealed class SourceException(string message, Exception? inner = null) : Exception(message, inner);
