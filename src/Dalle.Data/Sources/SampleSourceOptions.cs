using Dalle.Data.Pictures;

namespace Dalle.Data.Sources;

/// <summary>How sources are read, and what one sample may cost.</summary>
public sealed record SampleSourceOptions
{
    /// <summary>Tables: the column with the picture's path. Default: "path".</summary>
    public string PathColumn { get; init; } = "path";

    /// <summary>Tables: the column with the caption. Default: "caption".</summary>
    public string CaptionColumn { get; init; } = "caption";

    /// <summary>Tables and COCO: the folder that picture paths start from; null: the folder of the table or annotation file.</summary>
    public string? PictureFolder { get; init; }

    /// <summary>The licence of pictures and captions, in one line; null: what the source knows about itself.</summary>
    public string? Licence { get; init; }

    /// <summary>Emoji: folder for downloaded packages; null: "dalle/packages" in the user's local application data.</summary>
    public string? PackageFolder { get; init; }

    /// <summary>Most captions kept of one sample. Default: 32.</summary>
    public int MaxCaptions { get; init; } = 32;

    /// <summary>Longest caption, in characters; the rest is cut off. Default: 1,000.</summary>
    public int MaxCaptionLength { get; init; } = 1_000;

    /// <summary>Largest caption file, record or field, in bytes. Default: 256 KiB.</summary>
    public int MaxRecordBytes { get; init; } = 256 << 10;

    /// <summary>Largest picture file, in bytes. Default: that of <see cref="PictureLimits"/>.</summary>
    public int MaxPictureBytes { get; init; } = PictureLimits.Default.MaxBytes;

    /// <summary>Captions as they are kept: white space collapsed, control characters dropped, cut to the limits, repeats and empty ones left out.</summary>
    internal IReadOnlyList<string> CleanCaptions(IEnumerable<string> captions) =>
        [.. captions.Select(CleanCaption).Where(caption => caption.Length > 0).Distinct(StringComparer.Ordinal).Take(MaxCaptions)];

    internal string CleanCaption(string caption)
    {
        var kept = new System.Text.StringBuilder(Math.Min(caption.Length, MaxCaptionLength));
        foreach (var letter in caption)
        {
            if (kept.Length == MaxCaptionLength)
            {
                break;
            }
            if (char.IsWhiteSpace(letter))
            {
                if (kept.Length > 0 && kept[^1] != ' ')
                {
                    kept.Append(' ');
                }
            }
            else if (!char.IsControl(letter) && letter != '\uFFFD')
            {
                kept.Append(letter);
            }
        }
        if (kept.Length > 0 && char.IsHighSurrogate(kept[^1]))
        {
            kept.Length--;
        }
        return kept.ToString().TrimEnd();
    }
}
