using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneScoreTests
{
    private static readonly SceneObject RedCircle = new(SceneColor.Red, SceneShape.Circle, SceneSize.Large);
    private static readonly SceneObject BlueCross = new(SceneColor.Blue, SceneShape.Cross, SceneSize.Small);
    private static readonly SceneDescription One = new(RedCircle);
    private static readonly SceneDescription Two = new(RedCircle, SceneRelation.Above, BlueCross);

    private static readonly SceneScore AllRight = new(Count: true, Colors: true, Shapes: true, Sizes: true, Relation: true);

    [Fact]
    public void Of_WhatWasAskedFor_IsAllRight()
    {
        Assert.Equal(AllRight, SceneScore.Of(One, Found(At(RedCircle, 5, 5))));
        Assert.Equal(AllRight, SceneScore.Of(Two, Found(At(RedCircle, 16, 8), At(BlueCross, 16, 24))));
        Assert.Equal(AllRight, SceneScore.Of(Two.Reversed(), Found(At(RedCircle, 16, 8), At(BlueCross, 16, 24))));
    }

    [Fact]
    public void Of_ObjectsFoundInTheOtherOrder_IsTheSame() =>
        Assert.Equal(AllRight, SceneScore.Of(Two, Found(At(BlueCross, 16, 24), At(RedCircle, 16, 8))));

    [Fact]
    public void Of_AWrongCount_IsAllWrong()
    {
        Assert.Equal(default, SceneScore.Of(One, Found()));
        Assert.Equal(default, SceneScore.Of(One, Found(At(RedCircle, 8, 8), At(RedCircle, 24, 24))));
        Assert.Equal(default, SceneScore.Of(Two, Found(At(RedCircle, 8, 8))));
        Assert.Equal(default, SceneScore.Of(One, new SceneReading([At(RedCircle, 8, 8)], Blots: 1)));
    }

    [Fact]
    public void Of_OneFault_NamesItAlone()
    {
        Assert.Equal(AllRight with { Colors = false }, SceneScore.Of(One, Found(At(RedCircle with { Color = SceneColor.Green }, 8, 8))));
        Assert.Equal(AllRight with { Shapes = false }, SceneScore.Of(One, Found(At(RedCircle with { Shape = SceneShape.Square }, 8, 8))));
        Assert.Equal(AllRight with { Sizes = false }, SceneScore.Of(One, Found(At(RedCircle with { Size = SceneSize.Small }, 8, 8))));
        Assert.Equal(AllRight with { Relation = false }, SceneScore.Of(Two, Found(At(RedCircle, 16, 24), At(BlueCross, 16, 8))));
        Assert.Equal(AllRight with { Relation = false }, SceneScore.Of(Two, Found(At(RedCircle, 8, 16), At(BlueCross, 24, 16))));
    }

    [Fact]
    public void IsRight_LeavesSizeOut()
    {
        Assert.True((AllRight with { Sizes = false }).IsRight);
        Assert.All([AllRight with { Count = false }, AllRight with { Colors = false }, AllRight with { Shapes = false }, AllRight with { Relation = false }], score => Assert.False(score.IsRight));
    }

    [Fact]
    public void Report_CountsEachRateOverTheCaptionsItIsOf()
    {
        // Right; wrong colour; right; wrong relation: objects swapped.
        var report = ZeroShotReport.Of(
        [
            ("a large red circle", Draw(At(RedCircle, 16, 16))),
            ("a large green circle", Draw(At(RedCircle, 16, 16))),
            ("a large red circle above a small blue cross", Draw(At(RedCircle, 16, 8), At(BlueCross, 16, 24))),
            ("a large red circle above a small blue cross", Draw(At(RedCircle, 16, 24), At(BlueCross, 16, 8))),
        ]);

        Assert.Equal(new ZeroShotReport(4, 0.5, 0.5, 0.5, CountRate: 1, ColorRate: 0.75, ShapeRate: 1, RelationRate: 0.5, SizeRate: 1), report);
        Assert.Equal(new ZeroShotReport(0, 0, 0, 0, 0, 0, 0, 0, 0), ZeroShotReport.Of([]));
    }

    [Fact]
    public void Report_OfACaptionThatIsNoScene_Throws() => Assert.Throws<FormatException>(() => ZeroShotReport.Of([("a cat on a mat", Draw())]));

    private static PlacedObject At(SceneObject item, double x, double y) => new(item, x, y);

    private static SceneReading Found(params PlacedObject[] objects) => new(objects, Blots: 0);

    private static Data.Pictures.Picture Draw(params PlacedObject[] objects) => SceneRasterizer.Render(new Scene(One, objects));
}
