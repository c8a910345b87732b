using Dalle.Data.Pictures;

namespace Dalle.Data.Tests.Pictures;

public sealed class ContactSheetTests
{
    [Fact]
    public void Draw_SmallPictures_EnlargesByWholeFactors()
    {
        var sheet = ContactSheet.Draw([(Fixture.Draw(30, 30), null)], new ContactSheetLayout { CellSide = 64, Gap = 0 });

        Assert.Equal((64, 64), (sheet.Width, sheet.Height));
        Assert.Equal((255, 255, 255), sheet.At(1, 1));
        Assert.Equal(Fixture.Quarters[0], sheet.At(2, 2));
        Assert.Equal(Fixture.Quarters[0], sheet.At(31, 31));
        Assert.Equal(Fixture.Quarters[3], sheet.At(32, 32));
    }

    [Fact]
    public void Draw_LargeAndOblongPictures_Fit()
    {
        var sheet = ContactSheet.Draw([(Fixture.Draw(400, 100), null), (Fixture.Draw(10, 10), null)], new ContactSheetLayout { CellSide = 80, Gap = 4 });

        Assert.Equal((4 + 2 * 84, 4 + 84), (sheet.Width, sheet.Height));
        Assert.Equal((255, 255, 255), sheet.At(40, 20));
        Fixture.AssertNear(Fixture.Quarters[0], sheet.At(20, 40), 2);
        Fixture.AssertNear(Fixture.Quarters[3], sheet.At(70, 50), 2);
    }

    [Fact]
    public void Draw_Captions_AreUnderTheirPictures()
    {
        var white = new Picture(8, 8, Enumerable.Repeat((byte)255, 8 * 8 * 3).ToArray());
        var sheet = ContactSheet.Draw([(white, "I"), (white, null)], new ContactSheetLayout { CellSide = 32, Gap = 0, Columns = 2 });

        // 'I' is five columns: nothing, serifs, the stem over seven rows, serifs, nothing.
        Assert.Equal(7, Enumerable.Range(32, 23).Count(y => sheet.At(2, y) == (0, 0, 0)));
        Assert.Equal(11, Enumerable.Range(0, 64 * sheet.Height).Count(i => sheet.At(i % 64, i / 64) == (0, 0, 0)));
    }

    [Theory]
    [InlineData("a red cat", 3 * 6, new[] { "a", "r.." }, 2)]
    [InlineData("a red cat", 60, new[] { "a red cat" }, 2)]
    [InlineData("a red cat sleeps", 9 * 6, new[] { "a red cat", "sleeps" }, 2)]
    [InlineData("a red cat sleeps on a mat", 9 * 6, new[] { "a red cat", "sleeps.." }, 2)]
    [InlineData("donaudampfschiff", 8 * 6, new[] { "donaudam", "pfschiff" }, 3)]
    [InlineData("", 60, new string[0], 2)]
    public void Break_Captions_AtWords(string text, int width, string[] lines, int maxLines) =>
        Assert.Equal(lines, Lettering.Break(text, width, maxLines));

    [Fact]
    public void Draw_AnyText_DoesNotThrow()
    {
        var picture = Fixture.Draw(60, 20);
        Lettering.Draw(picture, "\u00e9\ud83d\ude00 \t\0", -3, 15);
        Lettering.Draw(picture, string.Concat(Enumerable.Range(0, 300).Select(i => (char)i)), 0, -4);
    }

    [Fact]
    public void PngEncoder_RoundTrips()
    {
        var picture = Fixture.Draw(33, 7);
        var again = PictureDecoder.Decode(PngEncoder.Encode(picture));
        Assert.Equal(picture.Rgb, again.Rgb);
        Assert.Equal((33, 7), (again.Width, again.Height));
        Assert.Throws<ArgumentException>(() => PngEncoder.Encode(new Picture(4, 4, new byte[3])));
    }
}
