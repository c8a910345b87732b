using Dalle.Data.Pictures;
using Dalle.Data.Randomness;
using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneReaderTests
{
    private static readonly SceneObject RedCircle = new(SceneColor.Red, SceneShape.Circle, SceneSize.Large);
    private static readonly SceneObject BlueCross = new(SceneColor.Blue, SceneShape.Cross, SceneSize.Small);

    /// <summary>The measure that models are judged by must itself be right: of true pictures at least 99 % are read so, sizes included.</summary>
    [Theory]
    [InlineData(SceneSplit.Training)]
    [InlineData(SceneSplit.HeldOut)]
    public void Read_OfTrueScenes_IsRight(SceneSplit split)
    {
        var scores = Scores(split, 2000, rgb => rgb);

        Assert.InRange(scores.Count(score => score.IsRight && score.Sizes), 1980, 2000);
    }

    /// <summary>Pictures out of a decoder are noisy and pale.</summary>
    [Theory]
    [InlineData(SceneSplit.Training)]
    [InlineData(SceneSplit.HeldOut)]
    public void Read_OfNoisyPaleScenes_IsRight(SceneSplit split)
    {
        var random = new KeyedRandom(1);
        var scores = Scores(split, 200, rgb => [.. rgb.Select(value => (byte)Math.Clamp(255 - (0.85 * (255 - value)) + random.NextInt(-15, 15), 0, 255))]);

        Assert.InRange(scores.Count(score => score.IsRight), 198, 200);
    }

    /// <summary>A reading that always says yes would pass the tests above: pictures of other captions must be read as wrong.</summary>
    [Fact]
    public void Read_OfOtherScenes_IsWrong()
    {
        var wrong = Enumerable.Range(0, 400).Count(i =>
        {
            var (asked, shown) = (SceneFamily.Get(SceneSplit.Training, i, 0).Description, SceneFamily.Get(SceneSplit.Training, i + 1000, 0));
            var reading = SceneReader.Read(SceneRasterizer.Render(shown));
            return SceneScore.Of(asked, reading).IsRight != SceneScore.Of(asked, new SceneReading(shown.Objects, Blots: 0)).IsRight;
        });

        Assert.InRange(wrong, 0, 4);
    }

    [Fact]
    public void Read_OfOneObject_GivesItAndItsPlace()
    {
        var found = Assert.Single(Read(new PlacedObject(RedCircle, 12, 19)).Objects);
        Assert.Equal(new PlacedObject(RedCircle, 12, 19), found);
    }

    [Fact]
    public void Read_OfWhite_FindsNothing() => Assert.Equal((0, 0), Counts(Read()));

    [Fact]
    public void Read_OfThreeObjects_FindsThree() => Assert.Equal((3, 0), Counts(Read(
        new PlacedObject(RedCircle, 8, 8), new PlacedObject(BlueCross, 24, 8), new PlacedObject(new(SceneColor.Yellow, SceneShape.Triangle, SceneSize.Small), 16, 24))));

    [Fact]
    public void Read_OfALineAsLargeAsAnObject_IsABlot()
    {
        var rgb = White();
        for (var x = 0; x < 32; x++)
        {
            Paint(rgb, x, 15);
        }

        Assert.Equal((0, 1), Counts(SceneReader.Read(rgb)));
    }

    [Fact]
    public void Read_OfSpecks_FindsNothing()
    {
        var rgb = White();
        for (var i = 0; i < 19; i++)
        {
            Paint(rgb, i % 4, i / 4);
        }

        Assert.Equal((0, 0), Counts(SceneReader.Read(rgb)));
    }

    [Fact]
    public void Read_OfAnotherSize_IsRefused() => Assert.Throws<ArgumentException>(() => SceneReader.Read(new Picture(16, 16, new byte[16 * 16 * 3])));

    [Theory]
    [InlineData(10, 10, 20, 12, SceneRelation.LeftOf)]
    [InlineData(20, 12, 10, 10, SceneRelation.RightOf)]
    [InlineData(10, 10, 12, 20, SceneRelation.Above)]
    [InlineData(12, 20, 10, 10, SceneRelation.Below)]
    public void Relation_IsAlongTheLongerAxis(double x1, double y1, double x2, double y2, SceneRelation relation) =>
        Assert.Equal(relation, SceneReading.Relation(new PlacedObject(RedCircle, x1, y1), new PlacedObject(BlueCross, x2, y2)));

    private static SceneScore[] Scores(SceneSplit split, int count, Func<byte[], byte[]> change) =>
    [
        .. Enumerable.Range(0, count).Select(i => SceneFamily.Get(split, i, 0)).Select(scene => SceneScore.Of(scene.Description, SceneReader.Read(change(SceneRasterizer.Render(scene).Rgb)))),
    ];

    private static SceneReading Read(params PlacedObject[] objects)
    {
        var rgb = White();
        SceneRasterizer.Render(objects, rgb);
        return SceneReader.Read(rgb);
    }

    private static (int Objects, int Blots) Counts(SceneReading reading) => (reading.Objects.Count, reading.Blots);

    private static byte[] White()
    {
        var rgb = new byte[32 * 32 * 3];
        Array.Fill(rgb, (byte)255);
        return rgb;
    }

    private static void Paint(byte[] rgb, int x, int y)
    {
        var (r, g, b) = SceneColor.Red.Paint();
        (rgb[((y * 32) + x) * 3], rgb[(((y * 32) + x) * 3) + 1], rgb[(((y * 32) + x) * 3) + 2]) = (r, g, b);
    }
}
