using SkiaSharp;

namespace Dalle.Workers.Tests.Generation;

/// <summary>Picture files that the encoder of the project does not write.</summary>
internal static class Files
{
    /// <summary>A PNG that is transparent where the rule says.</summary>
    public static byte[] Transparent(int width, int height, Func<int, int, bool> isTransparent)
    {
        using var bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                bitmap.SetPixel(x, y, new(200, 100, 50, isTransparent(x, y) ? (byte)0 : (byte)255));
            }
        }

        using var png = bitmap.Encode(SKEncodedImageFormat.Png, quality: 100);
        return png.ToArray();
    }
}
