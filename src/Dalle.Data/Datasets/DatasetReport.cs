using System.Globalization;
using Dalle.Data.Pictures;

namespace Dalle.Data.Datasets;

/// <summary>One bar of a histogram.</summary>
public sealed record HistogramBar(string Label, long Count);

/// <summary>What an imported dataset looks like: counts, the spread of its captions and pictures, and a sheet of samples.</summary>
public sealed record DatasetReport
{
    public required DatasetManifest Manifest { get; init; }

    /// <summary>Bytes of all shards.</summary>
    public required long Bytes { get; init; }

    /// <summary>Captions by number of words.</summary>
    public required IReadOnlyList<HistogramBar> CaptionWords { get; init; }

    /// <summary>Pictures by width over height.</summary>
    public required IReadOnlyList<HistogramBar> AspectRatios { get; init; }

    /// <summary>Pictures by shorter side, in pixels.</summary>
    public required IReadOnlyList<HistogramBar> ShorterSides { get; init; }

    /// <summary>Reads every record of the dataset, no pictures.</summary>
    /// <exception cref="Sources.SourceException">Not a dataset.</exception>
    public static DatasetReport Of(string folder)
    {
        using var dataset = ShardDataset.Open(folder);
        var words = new Histogram(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64);
        var ratios = new Histogram(0, 0.5, 0.67, 0.8, 0.95, 1.05, 1.25, 1.5, 2);
        var sides = new Histogram(0, 32, 64, 128, 256, 512, 1024, 2048);
        for (var index = 0; index < dataset.Count; index++)
        {
            foreach (var caption in dataset.GetCaptions(index))
            {
                words.Add(caption.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
            }
            var (width, height) = dataset.GetPictureSize(index);
            ratios.Add((double)width / height);
            sides.Add(Math.Min(width, height));
        }
        return new DatasetReport
        {
            Manifest = dataset.Manifest,
            Bytes = dataset.Manifest.Training.Shards.Concat(dataset.Manifest.HeldOut.Shards).Sum(shard => shard.Bytes),
            CaptionWords = words.Bars(),
            AspectRatios = ratios.Bars(),
            ShorterSides = sides.Bars(),
        };
    }

    /// <summary>A sheet of samples from all over a dataset, at even distances, each with its first caption.</summary>
    public static Picture DrawContactSheet(IDataset dataset, int pictures = 64, ContactSheetLayout? layout = null)
    {
        layout ??= new ContactSheetLayout();
        var shown = Math.Min(pictures, dataset.Count);
        var indices = Enumerable.Range(0, shown).Select(i => (int)((long)i * dataset.Count / shown));
        // Shrunk one by one: many large pictures at once would not fit into memory.
        return ContactSheet.Draw([.. indices.Select(index => (Bitmaps.Shrink(dataset.ReadPicture(index), layout.CellSide), (string?)dataset.GetCaptions(index)[0]))], layout);
    }

    /// <summary>Counts values between bounds: each bar holds the values from its bound up to, not including, the next one.</summary>
    private sealed class Histogram(params double[] bounds)
    {
        private readonly long[] _counts = new long[bounds.Length];

        public void Add(double value) => _counts[Math.Max(0, Array.FindLastIndex(bounds, bound => bound <= value))]++;

        public IReadOnlyList<HistogramBar> Bars() => [.. bounds.Select((_, i) => new HistogramBar(Label(i), _counts[i]))];

        private string Label(int bar) => bar + 1 < bounds.Length
            ? string.Create(CultureInfo.InvariantCulture, $"{bounds[bar]} to <{bounds[bar + 1]}")
            : string.Create(CultureInfo.InvariantCulture, $"{bounds[bar]} and more");
    }
}
