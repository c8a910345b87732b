using Dalle.Data.Sources;

namespace Dalle.Data.Filters;

/// <summary>What keeps a sample out of a dataset: the paper's filters (section 2.3 and appendix C) with their thresholds named, since the paper gives none for captions.</summary>
public sealed record SampleFilters
{
    /// <summary>Fewest characters in a caption. Default: 3.</summary>
    public int MinCaptionLength { get; init; } = 3;

    /// <summary>Fewest words in a caption. Default: 1; raise it for captions that were gathered rather than written.</summary>
    public int MinCaptionWords { get; init; } = 1;

    /// <summary>Whether captions that say nothing of the picture ("photographed on 3 May 2004", "IMG_0042.jpg") are dropped. Default: yes.</summary>
    public bool DropBoilerplate { get; init; } = true;

    /// <summary>Whether captions that are plainly not English are dropped, as the paper does. Default: no. See <see cref="EnglishDetector"/> for what "plainly" is.</summary>
    public bool EnglishOnly { get; init; }

    /// <summary>Largest ratio of longer to shorter side. Default: 2, the paper's [1/2, 2].</summary>
    public double MaxAspectRatio { get; init; } = 2;

    /// <summary>Whether a picture with the same pixels as one before is left out, so that no picture is both trained on and held out. Default: yes; takes about 40 bytes of memory a picture.</summary>
    public bool DropRepeatedPictures { get; init; } = true;

    /// <summary>Why a caption is dropped; null if it is kept.</summary>
    public RejectionReason? Check(string caption)
    {
        if (caption.Length < MinCaptionLength || caption.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length < MinCaptionWords)
        {
            return RejectionReason.CaptionTooShort;
        }
        if (DropBoilerplate && Boilerplate.IsAll(caption))
        {
            return RejectionReason.CaptionBoilerplate;
        }
        return EnglishOnly && !EnglishDetector.MayBeEnglish(caption) ? RejectionReason.CaptionLanguage : null;
    }

    /// <summary>Why a picture of this size is left out; null if it is kept.</summary>
    public RejectionReason? Check(int width, int height) =>
        Math.Max(width, height) > MaxAspectRatio * Math.Min(width, height) ? RejectionReason.AspectRatio : null;
}
