using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneCaptionTests
{
    private static readonly SceneObject RedCircle = new(SceneColor.Red, SceneShape.Circle, SceneSize.Large);
    private static readonly SceneObject BlueSquare = new(SceneColor.Blue, SceneShape.Square, SceneSize.Small);

    [Fact]
    public void AllOf_OneObject_NamesSizeColorAndShape() =>
        Assert.Equal(["a large red circle", "one large red circle", "a picture of one large red circle"], SceneCaption.AllOf(new SceneDescription(RedCircle)));

    [Fact]
    public void AllOf_TwoObjects_NamesEachFirstInTurn() => Assert.Equal(
        [
            "a large red circle above a small blue square",
            "a small blue square below a large red circle",
            "two shapes, a large red circle above a small blue square",
            "two shapes, a small blue square below a large red circle",
            "a picture of a large red circle above a small blue square",
            "a picture of a small blue square below a large red circle",
        ],
        SceneCaption.AllOf(new SceneDescription(RedCircle, SceneRelation.Above, BlueSquare)));

    [Fact]
    public void Parse_OfEveryCaptionOfAScene_GivesBackWhatItShows()
    {
        for (var i = 0; i < 2000; i++)
        {
            var description = SceneFamily.Get(SceneSplit.HeldOut, i, 0).Description;
            Assert.All(SceneCaption.AllOf(description), caption =>
                Assert.Contains(SceneCaption.Parse(caption), (SceneDescription[])[description, description.Reversed()]));
            Assert.Equal(description, SceneCaption.Parse(SceneCaption.Of(description)));
        }
    }

    [Fact]
    public void Parse_IgnoresCaseAndSurroundingSpace() =>
        Assert.Equal(new SceneDescription(RedCircle), SceneCaption.Parse("  One LARGE red Circle\n"));

    [Theory]
    [InlineData("")]
    [InlineData("a red circle")]
    [InlineData("a large red hexagon")]
    [InlineData("a 1 0 2")]
    [InlineData("a large red circle near a small blue square")]
    [InlineData("a large red circle above a small blue square below a small red cross")]
    public void Parse_OfAnotherCaption_SaysWhatWasExpected(string caption) =>
        Assert.Contains("expected one like", Assert.Throws<FormatException>(() => SceneCaption.Parse(caption)).Message, StringComparison.Ordinal);
}
