using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>Writes pictures as PNG files: 8-bit RGB, lossless.</summary>
public static class PngEncoder
{
    private static readonly SKPngEncoderOptions Options = new(SKPngEncoderFilterFlags.AllFilters, zLibLevel: 6);

    /// <summary>The picture as a PNG file's bytes.</summary>
    public static byte[] Encode(Picture picture)
    {
        using var bitmap = Bitmaps.From(picture);
        using var pixels = bitmap.PeekPixels();
        using var png = pixels.Encode(Options) ?? throw new InvalidOperationException($"The {picture.Width} x {picture.Height} picture could not be encoded.");
        return png.ToArray();
    }

    /// <summary>Writes the picture to a file, replacing it.</summary>
    public static void Write(Picture picture, string path) => File.WriteAllBytes(path, Encode(picture));
}
