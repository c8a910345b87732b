using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>How a picture file is written.</summary>
/// <param name="Format">PNG, JPEG or WebP.</param>
/// <param name="Quality">Of JPEG and WebP files, 0 (smallest) to 100 (best).</param>
/// <param name="Size">Height and width to scale the picture to, in pixels; null for its own.</param>
public sealed record PictureOutput(PictureFormat Format = PictureFormat.Png, int Quality = 100, int? Size = null);

/// <summary>Writes pictures as files of several formats.</summary>
public static class PictureEncoder
{
    /// <summary>The picture as a file's bytes.</summary>
    /// <exception cref="ArgumentException">The format cannot be written, or the quality is out of range.</exception>
    public static byte[] Encode(Picture picture, PictureOutput output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(output.Quality);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(output.Quality, 100);
        if (output.Size is { } size && (size != picture.Width || size != picture.Height))
        {
            picture = Scale(picture, size);
        }

        return output.Format switch
        {
            PictureFormat.Png => PngEncoder.Encode(picture),
            PictureFormat.Jpeg => Encode(picture, SKEncodedImageFormat.Jpeg, output.Quality),
            PictureFormat.WebP => Encode(picture, SKEncodedImageFormat.Webp, output.Quality),
            _ => throw new ArgumentException($"Expected PNG, JPEG or WebP, got {output.Format}.", nameof(output)),
        };
    }

    private static byte[] Encode(Picture picture, SKEncodedImageFormat format, int quality)
    {
        using var bitmap = Bitmaps.From(picture);
        using var file = bitmap.Encode(format, quality) ?? throw new InvalidOperationException($"The {picture.Width} x {picture.Height} picture could not be encoded.");
        return file.ToArray();
    }

    private static Picture Scale(Picture picture, int size)
    {
        using var whole = Bitmaps.From(picture);
        using var scaled = whole.Resize(new SKSizeI(size, size), size > picture.Width ? new(SKCubicResampler.Mitchell) : new SKSamplingOptions(SKFilterMode.Linear, SKMipmapMode.Linear));
        return Bitmaps.ToPicture(scaled);
    }
}
