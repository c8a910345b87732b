using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Rendering;

/// <summary>A line chart of braille dots, two columns and four rows to a character, with its highest and lowest value at the left.</summary>
/// <param name="points">The values, oldest first; at least one.</param>
/// <param name="height">Character rows.</param>
internal sealed class LossCurve(IReadOnlyList<double> points, int height = 5) : Renderable
{
    private const int LabelWidth = 9;

    /// <summary>Share of the values that the chart may cut off at the top: those of the first updates, which would flatten all others.</summary>
    private const double CutOff = 0.03;

    // Bits of a braille character, by dot row and dot column.
    private static readonly int[,] Dots = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

    /// <inheritdoc/>
    protected override Measurement Measure(RenderOptions options, int maxWidth) => new(Math.Min(LabelWidth + 10, maxWidth), maxWidth);

    /// <inheritdoc/>
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        var (low, high) = Range();
        var lines = Plot(maxWidth - LabelWidth - 1, low, high);
        for (var row = 0; row < height; row++)
        {
            var label = row == 0 ? Figures.Loss(high) : row == height - 1 ? Figures.Loss(low) : "";
            yield return new Segment(label.PadLeft(LabelWidth) + " ", new Style(Color.Grey));
            yield return new Segment(lines[row], new Style(Color.Aqua));
            yield return Segment.LineBreak;
        }
    }

    /// <summary>The values that the chart's bottom and top stand for.</summary>
    internal (double Low, double High) Range()
    {
        var sorted = points.Order().ToArray();
        var (low, high) = (sorted[0], sorted[(int)Math.Ceiling((sorted.Length - 1) * (1 - CutOff))]);
        return high > low ? (low, high) : (low, low + 1);
    }

    /// <summary>The chart's rows of <paramref name="width"/> braille characters, top first.</summary>
    internal string[] Plot(int width, double low, double high)
    {
        var (columns, rows) = (2 * Math.Max(1, width), 4 * height);
        var cells = new int[height, columns / 2];
        var used = Math.Min(columns, points.Count);
        var previous = -1;
        for (var column = 0; column < used; column++)
        {
            var (from, to) = ((long)column * points.Count / used, (column + 1L) * points.Count / used);
            var mean = points.Skip((int)from).Take((int)(to - from)).Average();
            var level = (int)Math.Round((rows - 1) * Math.Clamp((mean - low) / (high - low), 0, 1));
            var (bottom, top) = previous < 0 ? (level, level) : level > previous ? (previous + 1, level) : (level, Math.Max(level, previous - 1));
            for (var dot = bottom; dot <= top; dot++)
            {
                var row = rows - 1 - dot;
                cells[row / 4, column / 2] |= Dots[row % 4, column % 2];
            }

            previous = level;
        }

        return [.. Enumerable.Range(0, height).Select(row => string.Concat(Enumerable.Range(0, columns / 2).Select(column => (char)(0x2800 + cells[row, column]))))];
    }
}
