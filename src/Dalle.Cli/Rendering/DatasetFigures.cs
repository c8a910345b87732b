using Dalle.Data.Datasets;
using Dalle.Data.Sources;
using Spectre.Console;

namespace Dalle.Cli.Rendering;

/// <summary>A dataset's figures for people.</summary>
internal static class DatasetFigures
{
    private const int BarWidth = 40;

    /// <summary>Samples and captions in one line.</summary>
    public static string Counts(DatasetManifest manifest)
    {
        var (training, heldOut) = (manifest.Training, manifest.HeldOut);
        return $"{Figures.Count((long)training.Samples + heldOut.Samples)} samples ({Figures.Count(training.Samples)} to train on, {Figures.Count(heldOut.Samples)} held out) "
            + $"with {Figures.Count(training.Captions + heldOut.Captions)} captions";
    }

    /// <summary>What was left out of the dataset, and why.</summary>
    public static Table Rejections(DatasetManifest manifest)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("left out because", "samples", "such as");
        table.Columns[1].RightAligned();
        foreach (var (reason, rejected) in manifest.Rejected.OrderByDescending(entry => entry.Value.Count).ThenBy(entry => entry.Key))
        {
            table.AddRow(new Text(Words(reason)), new Text(Figures.Count(rejected.Count)), new Text(string.Join(", ", rejected.Examples.Take(2))));
        }

        return table;
    }

    /// <summary>A histogram as bars, without the empty ones at its ends.</summary>
    public static Table Histogram(string title, IReadOnlyList<HistogramBar> bars)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns(title, "count", "");
        table.Columns[1].RightAligned();
        var (first, last) = (bars.TakeWhile(bar => bar.Count == 0).Count(), bars.Count - bars.Reverse().TakeWhile(bar => bar.Count == 0).Count());
        var highest = Math.Max(1, bars.Max(bar => bar.Count));
        foreach (var bar in bars.Take(first..last))
        {
            table.AddRow(new Text(bar.Label), new Text(Figures.Count(bar.Count)), new Text(new string('\u2588', (int)Math.Ceiling((double)BarWidth * bar.Count / highest))));
        }

        return table;
    }

    private static string Words(RejectionReason reason) => reason switch
    {
        RejectionReason.CaptionMissing => "no caption",
        RejectionReason.CaptionTooShort => "caption too short",
        RejectionReason.CaptionBoilerplate => "caption says nothing of the picture",
        RejectionReason.CaptionLanguage => "caption not in English",
        RejectionReason.AspectRatio => "picture too long or too tall",
        RejectionReason.PictureMissing => "picture file not found",
        RejectionReason.PictureCorrupt => "picture damaged",
        RejectionReason.PictureTooLarge => "picture too large",
        RejectionReason.PictureUnsupported => "not a JPEG, PNG, WebP, GIF or BMP picture",
        RejectionReason.PictureEmpty => "picture empty",
        RejectionReason.RecordMalformed => "record malformed",
        RejectionReason.PictureRepeated => "same pixels as a picture before",
        _ => reason.ToString(),
    };
}
