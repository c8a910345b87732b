using Dalle.Cli.Rendering;

namespace Dalle.Cli.Tests.Rendering;

public sealed class LossCurveTests
{
    private const char Empty = '\u2800';

    [Fact]
    public void Plot_OneValuePerDotColumn_PutsTheHighestInTheTopRowAndTheLowestInTheBottomRow()
    {
        var rows = new LossCurve([4, 3, 2, 1], height: 1).Plot(width: 2, low: 1, high: 4);
        // Dot rows 0, 1 in the first character and 2, 3 in the second: a falling staircase, no dot twice.
        Assert.Equal(["\u2811\u2884"], rows);
    }

    [Fact]
    public void Plot_FallingSeries_FillsLowerRowsFurtherRight()
    {
        var rows = new LossCurve([.. Enumerable.Range(0, 200).Select(i => 200.0 - i)], height: 4).Plot(40, 1, 200);
        Assert.True(rows[0].IndexOf(Empty) is > 0 and < 15, rows[0]);
        Assert.True(rows[3].TakeWhile(c => c == Empty).Count() > 25, rows[3]);
        Assert.NotEqual(Empty, rows[3][39]);
    }

    [Fact]
    public void Plot_AJump_DrawsAConnectedLine()
    {
        var rows = new LossCurve([0, 0, 1, 1], height: 2).Plot(2, 0, 1);
        // The third column climbs through both characters without a gap.
        Assert.Equal(["\u2800\u284f", "\u28c0\u2807"], rows);
    }

    [Fact]
    public void Plot_FewerValuesThanColumns_LeavesTheRightEmpty()
    {
        var rows = new LossCurve([1, 1], height: 1).Plot(10, 0, 1);
        Assert.Equal(new string(Empty, 9), rows[0][1..]);
    }

    [Fact]
    public void Range_HighFirstValues_AreCutOff()
    {
        double[] points = [50, .. Enumerable.Repeat(0, 99).Select((_, i) => 2 - (i / 100.0))];
        Assert.Equal((1.02, 1.99), new LossCurve(points).Range());
    }

    [Fact]
    public void Range_ConstantSeries_IsNotEmpty() => Assert.Equal((3, 4), new LossCurve([3, 3, 3]).Range());

    [Fact]
    public void Render_LabelsTheHighestAndTheLowestValue()
    {
        var lines = RecordingConsole.Draw(new LossCurve([3, 1], height: 3), width: 40).TrimEnd('\n').Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.StartsWith("   1.0000 ", lines[^1], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.True(line.Length <= 40, line));
    }
}
