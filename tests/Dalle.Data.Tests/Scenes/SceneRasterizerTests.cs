using System.IO.Hashing;
using Dalle.Data.Scenes;

namespace Dalle.Data.Tests.Scenes;

public sealed class SceneRasterizerTests
{
    [Fact]
    public void Render_OfASquareOnWholePixels_IsExact()
    {
        var rgb = Draw(new PlacedObject(new SceneObject(SceneColor.Red, SceneShape.Square, SceneSize.Small), 16, 12));
        for (var y = 0; y < 32; y++)
        {
            for (var x = 0; x < 32; x++)
            {
                var expected = x is >= 11 and < 21 && y is >= 7 and < 17 ? ((byte)220, (byte)30, (byte)30) : ((byte)255, (byte)255, (byte)255);
                var at = ((y * 32) + x) * 3;
                Assert.Equal(expected, (rgb[at], rgb[at + 1], rgb[at + 2]));
            }
        }
    }

    [Theory]
    [InlineData(SceneShape.Circle, SceneSize.Large, Math.PI * 49)]
    [InlineData(SceneShape.Square, SceneSize.Large, 196)]
    [InlineData(SceneShape.Triangle, SceneSize.Large, 98)]
    [InlineData(SceneShape.Cross, SceneSize.Small, 64)]
    public void Render_OfAShapeBetweenPixels_CoversItsArea(SceneShape shape, SceneSize size, double area)
    {
        var rgb = Draw(new PlacedObject(new SceneObject(SceneColor.Red, shape, size), 15.25, 16.75));
        var covered = Enumerable.Range(0, 32 * 32).Sum(pixel => (255 - rgb[(pixel * 3) + 1]) / 225.0);
        Assert.InRange(covered, area * 0.98, area * 1.02);
    }

    [Fact]
    public void Render_OfAnObjectAcrossTheEdge_CutsItOff()
    {
        var rgb = Draw(new PlacedObject(new SceneObject(SceneColor.Blue, SceneShape.Square, SceneSize.Large), 0, 32));
        Assert.Equal(49, Enumerable.Range(0, 32 * 32).Count(pixel => rgb[pixel * 3] == 30));
    }

    [Fact]
    public void Render_OfAThousandScenes_GivesTheSameBytesOnEveryMachine()
    {
        var hash = new XxHash3();
        for (var i = 0; i < 1000; i++)
        {
            hash.Append(SceneRasterizer.Render(SceneFamily.Get(SceneSplit.Training, i, 0)).Rgb);
        }

        Assert.Equal("33666d6424c376dc", hash.GetCurrentHashAsUInt64().ToString("x16"));
    }

    private static byte[] Draw(PlacedObject item)
    {
        var rgb = new byte[32 * 32 * 3];
        SceneRasterizer.Render([item], rgb);
        return rgb;
    }
}
