using Dalle.Data.Augmentation;
using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>The central square of a picture file of any size, small enough to send on, its transparency kept.</summary>
/// <param name="Width">Pixels per row of the file.</param>
/// <param name="Height">Rows of the file.</param>
/// <param name="Png">The square, as a PNG file.</param>
public sealed record SquarePicture(int Width, int Height, byte[] Png)
{
    /// <summary>Reads a file.</summary>
    /// <param name="file">The picture file.</param>
    /// <param name="size">Height and width of the square, in pixels.</param>
    /// <param name="limits">What the file may cost; null for the default.</param>
    /// <exception cref="PictureException">The bytes are not a picture, are damaged, or break a limit.</exception>
    public static SquarePicture Read(ReadOnlySpan<byte> file, int size, PictureLimits? limits = null)
    {
        var picture = PictureDecoder.Decode(file, limits);
        var (colours, opacity) = (new float[3 * size * size], new float[3 * size * size]);
        PictureAugmentation.Centre(picture, size, colours);
        PictureAugmentation.Centre(PictureDecoder.DecodeOpacity(file, limits), size, opacity);
        using var square = new SKBitmap(size, size, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        var rgba = square.GetPixelSpan();
        for (var i = 0; i < size * size; i++)
        {
            for (var channel = 0; channel < 3; channel++)
            {
                rgba[(4 * i) + channel] = (byte)MathF.Round(255 * colours[(channel * size * size) + i]);
            }

            // What is transparent in part stays so.
            rgba[(4 * i) + 3] = (byte)MathF.Floor((255 * opacity[i]) + (1 / 64f));
        }

        using var png = square.Encode(SKEncodedImageFormat.Png, quality: 100);
        return new(picture.Width, picture.Height, png.ToArray());
    }
}
