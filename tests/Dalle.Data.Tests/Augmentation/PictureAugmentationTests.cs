using Dalle.Data.Augmentation;
using Dalle.Data.Pictures;
using Dalle.Data.Randomness;

namespace Dalle.Data.Tests.Augmentation;

/// <summary>
/// Pictures whose every pixel says where it is: red is the column, green the row. The first pixel of a result then tells which crop was taken.
/// </summary>
public sealed class PictureAugmentationTests
{
    private const int Size = 8;

    [Fact]
    public void Centre_OfATallAndAWidePicture_IsTheMiddleSquare()
    {
        Assert.Equal((2, 0), Corner(Centre(Ramp(12, 8))));
        Assert.Equal((0, 3), Corner(Centre(Ramp(8, 15))));
    }

    [Fact]
    public void Centre_IsPlanarAndFromZeroToOne()
    {
        var result = new float[12];
        PictureAugmentation.Centre(new Picture(2, 2, [255, 0, 51, 0, 255, 102, 51, 51, 0, 102, 102, 255]), 2, result);
        Assert.Equal([1, 0, 0.2f, 0.4f, 0, 1, 0.2f, 0.4f, 0.2f, 0.4f, 0, 1], result.Select(value => MathF.Round(value, 5)));
    }

    [Fact]
    public void ForDiscreteVae_OfAWidePictureOfTheTargetsHeight_CropsAnywhere()
    {
        // s equals the size, so nothing is resized and only the place is random: 0 to 24, each about as often.
        var places = Keys(5_000).GroupBy(key => Corner(ForDiscreteVae(Ramp(32, 8), key, flip: false))).ToDictionary(place => place.Key, place => place.Count());

        Assert.Equal(Enumerable.Range(0, 25).Select(x => (x, 0)), places.Keys.Order());
        Assert.All(places.Values, count => Assert.InRange(count, 140, 260));
    }

    [Fact]
    public void ForPrior_OfAWidePictureOfTheTargetsHeight_CropsNearTheCentre()
    {
        // Three to five eighths of a slack of 24: 9 to 15, the two ends half as often.
        var places = Keys(6_000).GroupBy(key => Corner(ForPrior(Ramp(32, 8), key))).ToDictionary(place => place.Key, place => place.Count());

        Assert.Equal(Enumerable.Range(9, 7).Select(x => (x, 0)), places.Keys.Order());
        Assert.All(places, place => Assert.InRange(place.Value, place.Key.Item1 is 9 or 15 ? 400 : 870, place.Key.Item1 is 9 or 15 ? 600 : 1130));
    }

    /// <summary>A large picture is resized to 9/8 to 12/8 of the target and any crop of that is taken; every such result occurs, and nothing else.</summary>
    [Fact]
    public void ForDiscreteVae_OfALargePicture_IsAnyCropOfAnyAllowedSize() =>
        AssertAnyCrop(Ramp(20, 20), Keys(4_000).Select(key => ForDiscreteVae(Ramp(20, 20), key, flip: false)), least: 9, most: 12);

    /// <summary>The prior sees the picture resized to 1 to 9/8 of the target.</summary>
    [Fact]
    public void ForPrior_OfALargePicture_IsAnyCropOfAnyAllowedSize() =>
        AssertAnyCrop(Ramp(20, 20), Keys(400).Select(key => ForPrior(Ramp(20, 20), key)), least: 8, most: 9);

    /// <summary>A picture is never enlarged beyond its own size: of the sides 9 to 12, one of 10 pixels has 9 and 10.</summary>
    [Fact]
    public void ForDiscreteVae_OfAPictureBarelyLargerThanTheTarget_IsNotEnlarged() =>
        AssertAnyCrop(Ramp(10, 10), Keys(1_000).Select(key => ForDiscreteVae(Ramp(10, 10), key, flip: false)), least: 9, most: 10);

    [Fact]
    public void Flip_IsHalfOfTheTime_AndOnlyWhereAskedFor()
    {
        var (upright, mirrored) = (Centre(Ramp(8, 8)), Mirror(Centre(Ramp(8, 8))));
        var results = Keys(1_000).Select(key => ForDiscreteVae(Ramp(8, 8), key, flip: true)).ToArray();

        Assert.All(results, result => Assert.True(Near(result, upright) || Near(result, mirrored)));
        Assert.InRange(results.Count(result => Near(result, mirrored)), 430, 570);
        Assert.All(Keys(50), key => Assert.True(Near(ForDiscreteVae(Ramp(8, 8), key, flip: false), upright)));
    }

    [Fact]
    public void EveryResult_IsAPureFunctionOfItsKey()
    {
        var picture = Ramp(31, 19);
        foreach (var key in Keys(20))
        {
            Assert.Equal(ForDiscreteVae(picture, key, flip: true), ForDiscreteVae(picture, key, flip: true));
            Assert.Equal(ForPrior(picture, key), ForPrior(picture, key));
        }

        Assert.True(Keys(20).Select(key => string.Join(' ', ForDiscreteVae(picture, key, flip: true))).Distinct().Count() > 15);
    }

    [Theory]
    [InlineData(3, 5)]
    [InlineData(1, 1)]
    public void SmallPictures_AreEnlarged(int width, int height)
    {
        Assert.All(Keys(20), key => Assert.Equal(0, ForDiscreteVae(Ramp(width, height), key, flip: false)[0], 0.1));
        Assert.All(Keys(20), key => Assert.All(ForPrior(Ramp(width, height), key), value => Assert.InRange(value, 0, 5 / 255f)));
    }

    [Fact]
    public void ResultOfAnotherLength_IsRefused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => PictureAugmentation.Centre(Ramp(8, 8), Size, new float[10]));

    /// <summary>Every result is a crop of the square picture resized to one of the sides, and every such crop is among the results.</summary>
    private static void AssertAnyCrop(Picture picture, IEnumerable<float[]> results, int least, int most)
    {
        var crops = (from side in Enumerable.Range(least, most - least + 1)
                     from x in Enumerable.Range(0, side - Size + 1)
                     from y in Enumerable.Range(0, side - Size + 1)
                     select (Name: $"{side} at {x},{y}", Pixels: Crop(AreaResize.Square(picture.Rgb, picture.Width, 0, 0, picture.Width, side), side, x, y))).ToArray();

        Assert.Equal(crops.Select(crop => crop.Name).Order(), results.Select(result => Assert.Single(crops, crop => Near(crop.Pixels, result)).Name).Distinct().Order());
    }

    private static float[] Crop(float[] rgb, int side, int left, int top) =>
    [
        .. from channel in Enumerable.Range(0, 3)
           from y in Enumerable.Range(top, Size)
           from x in Enumerable.Range(left, Size)
           select rgb[(((y * side) + x) * 3) + channel] / 255,
    ];

    private static bool Near(float[] one, float[] other) => one.Zip(other).All(pair => Math.Abs(pair.First - pair.Second) < 1e-5f);

    private static float[] Mirror(float[] pixels) => [.. pixels.Chunk(Size).SelectMany(row => row.Reverse())];

    /// <summary>Column and row of the source pixel that came out first.</summary>
    private static (int X, int Y) Corner(float[] pixels) => ((int)MathF.Round(pixels[0] * 255), (int)MathF.Round(pixels[Size * Size] * 255));

    private static IEnumerable<ulong> Keys(int count) => Enumerable.Range(0, count).Select(i => KeyedRandom.Key((ulong)i));

    private static Picture Ramp(int width, int height) =>
        new(width, height, [.. Enumerable.Range(0, width * height).SelectMany(i => new[] { (byte)(i % width), (byte)(i / width), (byte)0 })]);

    private static float[] Centre(Picture picture) => Made(target => PictureAugmentation.Centre(picture, Size, target));

    private static float[] ForDiscreteVae(Picture picture, ulong key, bool flip) => Made(target => PictureAugmentation.ForDiscreteVae(picture, Size, key, flip, target));

    private static float[] ForPrior(Picture picture, ulong key) => Made(target => PictureAugmentation.ForPrior(picture, Size, key, target));

    private static float[] Made(Action<float[]> fill)
    {
        var pixels = new float[3 * Size * Size];
        fill(pixels);
        return pixels;
    }
}
