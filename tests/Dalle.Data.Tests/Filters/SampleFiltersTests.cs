using System.Diagnostics;
using Dalle.Data.Filters;
using Dalle.Data.Sources;

namespace Dalle.Data.Tests.Filters;

public sealed class SampleFiltersTests
{
    [Theory]
    [InlineData("Photographed on 3 May 2004")]
    [InlineData("photographed on 2004-05-03")]
    [InlineData("This photo was taken on May 3rd, 2004 at 12:31")]
    [InlineData("Taken on 03/05/2004.")]
    [InlineData("Uploaded in 2011")]
    [InlineData("12.05.2009")]
    [InlineData("2009-05-12 14:03:11")]
    [InlineData("IMG_0042.JPG")]
    [InlineData("DSC00123")]
    [InlineData("P1010023.jpg")]
    [InlineData("Screenshot 2020-01-02")]
    [InlineData("my-holiday-picture.png")]
    [InlineData("untitled")]
    [InlineData("No description available.")]
    [InlineData("Click to enlarge")]
    [InlineData("Copyright 2004 Somebody Ltd")]
    [InlineData("Photo by Jane Doe")]
    public void Check_Boilerplate_IsDropped(string caption)
    {
        Assert.Equal(RejectionReason.CaptionBoilerplate, new SampleFilters().Check(caption));
        Assert.Null(new SampleFilters { DropBoilerplate = false }.Check(caption));
    }

    [Theory]
    [InlineData("a lighthouse in Maine, photographed on 3 May 2004")]
    [InlineData("a man taken by surprise")]
    [InlineData("two photographs on a wall")]
    [InlineData("a photo of a cat")]
    [InlineData("the year 2004 written in sand")]
    [InlineData("a screenshot of a game")]
    [InlineData("an image editor")]
    [InlineData("cat")]
    [InlineData("three march hares on 3 May street")]
    [InlineData("picture frame")]
    [InlineData("scan lines")]
    public void Check_RealCaption_IsKept(string caption) => Assert.Null(new SampleFilters { EnglishOnly = true }.Check(caption));

    [Fact]
    public void Check_Short_ByCharactersAndWords()
    {
        Assert.Equal(RejectionReason.CaptionTooShort, new SampleFilters().Check("ox"));
        Assert.Null(new SampleFilters().Check("cat"));
        Assert.Equal(RejectionReason.CaptionTooShort, new SampleFilters { MinCaptionWords = 3 }.Check("black  cat"));
        Assert.Null(new SampleFilters { MinCaptionWords = 3 }.Check("a black cat"));
    }

    [Theory]
    [InlineData(100, 200, true)]
    [InlineData(200, 100, true)]
    [InlineData(100, 201, false)]
    [InlineData(201, 100, false)]
    [InlineData(1, 1, true)]
    public void Check_AspectRatio_IsThePapers(int width, int height, bool kept) =>
        Assert.Equal(kept ? null : RejectionReason.AspectRatio, new SampleFilters().Check(width, height));

    [Fact]
    public void Check_HostileCaptions_TakeNoTime()
    {
        var filters = new SampleFilters { EnglishOnly = true };
        var start = Stopwatch.GetTimestamp();
        foreach (var piece in (string[])["photo taken on ", "1", "1-", "12:00 ", "may ", "2004 ", " ", "(c)", "img_", "\u00e9", "click to ", "no description ", "1st of "])
        {
            var caption = string.Concat(Enumerable.Repeat(piece, 1000))[..1000];
            filters.Check(caption);
            filters.Check(caption + "!x");
        }
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(5), $"{Stopwatch.GetElapsedTime(start)}");
    }
}
