using Dalle.Data.Pictures;
using SkiaSharp;

namespace Dalle.Data.Tests.Pictures;

/// <summary>
/// The files beside this one were written by Pillow: 24 x 16 pixels, red, green, blue and yellow quarters
/// (exif-1 to exif-8 are stored turned so that each is seen upright).
/// </summary>
internal static class Fixture
{
    public const int Width = 24;
    public const int Height = 16;

    public static readonly (byte R, byte G, byte B)[] Quarters = [(230, 20, 20), (20, 200, 20), (20, 20, 230), (230, 220, 20)];

    public static byte[] Read(string name) => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Pictures", "Fixtures", name));

    /// <summary>The same quarters at any size.</summary>
    public static Picture Draw(int width = Width, int height = Height)
    {
        var rgb = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var (r, g, b) = Quarters[(i % width >= width / 2 ? 1 : 0) + (i / width >= height / 2 ? 2 : 0)];
            (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = (r, g, b);
        }
        return new Picture(width, height, rgb);
    }

    public static byte[] Encode(Picture picture, SKEncodedImageFormat format, int quality = 90)
    {
        using var bitmap = Bitmaps.From(picture);
        using var data = bitmap.Encode(format, quality);
        return data.ToArray();
    }

    public static (byte R, byte G, byte B) At(this Picture picture, int x, int y)
    {
        var i = 3 * (y * picture.Width + x);
        return (picture.Rgb[i], picture.Rgb[i + 1], picture.Rgb[i + 2]);
    }

    public static void AssertQuarters(Picture picture, int tolerance)
    {
        Assert.Equal((Width, Height), (picture.Width, picture.Height));
        for (var quarter = 0; quarter < 4; quarter++)
        {
            AssertNear(Quarters[quarter], picture.At(quarter % 2 == 0 ? 5 : 18, quarter < 2 ? 4 : 12), tolerance);
        }
    }

    public static void AssertNear((byte R, byte G, byte B) expected, (byte R, byte G, byte B) actual, int tolerance) => Assert.True(
        Math.Abs(expected.R - actual.R) <= tolerance && Math.Abs(expected.G - actual.G) <= tolerance && Math.Abs(expected.B - actual.B) <= tolerance,
        $"Expected about {expected}, got {actual}.");
}
