using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>Pictures as SkiaSharp bitmaps and back.</summary>
internal static class Bitmaps
{
    public static SKBitmap From(Picture picture)
    {
        if (picture.Width <= 0 || picture.Height <= 0 || picture.Rgb.Length != picture.Width * picture.Height * 3)
        {
            throw new ArgumentException(
                $"Expected {picture.Width} x {picture.Height} pixels in {3L * picture.Width * picture.Height} bytes, got {picture.Rgb.Length}.", nameof(picture));
        }
        var bitmap = new SKBitmap(picture.Width, picture.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var rgba = bitmap.GetPixelSpan();
        for (int from = 0, to = 0; from < picture.Rgb.Length; from += 3, to += 4)
        {
            picture.Rgb.AsSpan(from, 3).CopyTo(rgba[to..]);
            rgba[to + 3] = 255;
        }
        return bitmap;
    }

    public static Picture ToPicture(SKBitmap bitmap)
    {
        var rgba = bitmap.GetPixelSpan();
        var rgb = new byte[bitmap.Width * bitmap.Height * 3];
        for (int from = 0, to = 0; to < rgb.Length; from += 4, to += 3)
        {
            rgba.Slice(from, 3).CopyTo(rgb.AsSpan(to));
        }
        return new Picture(bitmap.Width, bitmap.Height, rgb);
    }
}
