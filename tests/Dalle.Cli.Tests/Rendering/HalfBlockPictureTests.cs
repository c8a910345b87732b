using System.Text.RegularExpressions;
using Dalle.Cli.Rendering;
using Dalle.Data.Pictures;

namespace Dalle.Cli.Tests.Rendering;

public sealed partial class HalfBlockPictureTests
{
    [Fact]
    public void Render_TwoByTwo_PaintsTopPixelsAsInkAndBottomPixelsAsGround()
    {
        var picture = new Picture(2, 2, [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]);
        var cells = Cell().Matches(RecordingConsole.Draw(new HalfBlockPicture(picture), colours: true));
        Assert.Equal(["38;2;255;0;0;48;2;0;0;255", "38;2;0;255;0;48;2;255;255;255"], cells.Select(cell => cell.Groups[1].Value));
    }

    [Fact]
    public void Render_OddHeight_LeavesTheGroundOfTheLastRowAlone()
    {
        var picture = new Picture(1, 3, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        var cells = Cell().Matches(RecordingConsole.Draw(new HalfBlockPicture(picture), colours: true));
        Assert.Equal(["38;2;1;2;3;48;2;4;5;6", "38;2;7;8;9"], cells.Select(cell => cell.Groups[1].Value));
    }

    [Fact]
    public void Render_WiderThanTheTerminal_AveragesPixels()
    {
        // Four columns into two: black and white pairs become mid grey.
        var picture = new Picture(4, 4, [.. Enumerable.Range(0, 16).SelectMany(i => Enumerable.Repeat((byte)(i % 2 == 0 ? 0 : 254), 3))]);
        var drawn = RecordingConsole.Draw(new HalfBlockPicture(picture), width: 2, colours: true);
        Assert.Equal(2, drawn.Count(letter => letter == '\u2580'));
        Assert.All(Cell().Matches(drawn), cell => Assert.Equal("38;2;127;127;127;48;2;127;127;127", cell.Groups[1].Value));
    }

    [Fact]
    public void Render_WiderThanItsLimit_KeepsTheProportions()
    {
        var drawn = RecordingConsole.Draw(new HalfBlockPicture(new Picture(64, 32, new byte[64 * 32 * 3]), columns: 16)).TrimEnd('\n').Split('\n');
        Assert.Equal(4, drawn.Length);
        Assert.All(drawn, line => Assert.Equal(16, line.Length));
    }

    [GeneratedRegex("\u001b\\[([0-9;]+)m\u2580")]
    private static partial Regex Cell();
}
