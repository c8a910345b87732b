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

    /// <summary>The picture with its longer side at most <paramref name="longest"/> pixels; as it is if it is no larger.</summary>
    public static Picture Shrink(Picture picture, int longest)
    {
        var scale = (double)longest / Math.Max(picture.Width, picture.Height);
        if (scale >= 1)
        {
            return picture;
        }
        using var whole = From(picture);
        var size = new SKSizeI(Math.Max(1, (int)Math.Round(picture.Width * scale)), Math.Max(1, (int)Math.Round(picture.Height * scale)));
        using var small = whole.Resize(size, new SKSamplingOptions(SKFilterMode.Linear, SKMipmapMode.Linear));
        return ToPicture(small);
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
