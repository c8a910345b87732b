using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>Writes masks: picture files that are transparent where a picture is to be drawn anew.</summary>
public static class PictureMask
{
    /// <summary>A mask as a PNG file's bytes, white where it is opaque.</summary>
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="isTransparent">Whether the pixel of a column and row is transparent.</param>
    public static byte[] Encode(int width, int height, Func<int, int, bool> isTransparent)
    {
        using var bitmap = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        var rgba = bitmap.GetPixelSpan();
        rgba.Fill(byte.MaxValue);
        for (var i = 0; i < width * height; i++)
        {
            if (isTransparent(i % width, i / width))
            {
                rgba[(4 * i) + 3] = 0;
            }
        }

        using var png = bitmap.Encode(SKEncodedImageFormat.Png, quality: 100);
        return png.ToArray();
    }
}
