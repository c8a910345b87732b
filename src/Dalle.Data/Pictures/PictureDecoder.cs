using Dalle.Data.Sources;
using SkiaSharp;

namespace Dalle.Data.Pictures;

/// <summary>What a picture file may cost before it is refused.</summary>
public sealed record PictureLimits
{
    /// <summary>Largest encoded picture, in bytes. Default: 32 MiB.</summary>
    public int MaxBytes { get; init; } = 32 << 20;

    /// <summary>Largest picture, in pixels; checked against the header, before anything is decoded. Default: 64 million (256 MB decoded).</summary>
    public long MaxPixels { get; init; } = 64_000_000;

    /// <summary>The defaults.</summary>
    public static PictureLimits Default { get; } = new();
}

/// <summary>
/// Turns an untrusted picture file into pixels. JPEG (grey, YCbCr and CMYK), PNG (up to 16 bit), WebP, GIF and BMP; colours converted to sRGB,
/// transparency laid on white, EXIF orientation applied. Of an animation the first frame is the picture: its caption describes what is seen, not the motion.
/// </summary>
public static class PictureDecoder
{
    /// <summary>Decodes a whole picture.</summary>
    /// <exception cref="PictureException">The bytes are not a picture, are damaged, or break a limit.</exception>
    public static Picture Decode(ReadOnlySpan<byte> encoded, PictureLimits? limits = null) => Decode(encoded, null, LayOnWhite, limits ?? PictureLimits.Default);

    /// <summary>How opaque a picture is: grey, black where it is transparent, white where it is opaque.</summary>
    /// <exception cref="PictureException">The bytes are not a picture, are damaged, or break a limit.</exception>
    public static Picture DecodeOpacity(ReadOnlySpan<byte> encoded, PictureLimits? limits = null) => Decode(encoded, null, Opacity, limits ?? PictureLimits.Default);

    /// <summary>
    /// Decodes a picture that is needed only small: where the format can decode at a fraction of its size (JPEG, by eighths), the result may be smaller
    /// than the file, but its shorter side is never below <paramref name="shorterSide"/> unless the file's is. Several times faster for photographs.
    /// </summary>
    /// <exception cref="PictureException">The bytes are not a picture, are damaged, or break a limit.</exception>
    public static Picture DecodeAtLeast(ReadOnlySpan<byte> encoded, int shorterSide, PictureLimits? limits = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shorterSide);
        return Decode(encoded, shorterSide, LayOnWhite, limits ?? PictureLimits.Default);
    }

    private static Picture Decode(ReadOnlySpan<byte> encoded, int? shorterSide, RgbOf rgbOf, PictureLimits limits)
    {
        if (encoded.IsEmpty)
        {
            throw new PictureException(RejectionReason.PictureEmpty, "The picture file has no bytes.");
        }
        if (encoded.Length > limits.MaxBytes)
        {
            throw new PictureException(RejectionReason.PictureTooLarge, $"The picture file has {encoded.Length:N0} bytes; at most {limits.MaxBytes:N0} are read.");
        }
        var format = PictureSignature.Of(encoded);
        if (format == PictureFormat.Unknown)
        {
            throw new PictureException(RejectionReason.PictureUnsupported, $"Expected a JPEG, PNG, WebP, GIF or BMP file; it begins with {Convert.ToHexString(encoded[..Math.Min(encoded.Length, 8)])}.");
        }
        if (PictureSignature.DeclaredSize(format, encoded) is { } declared)
        {
            CheckSize(declared.Width, declared.Height, limits);
        }
        using var data = SKData.CreateCopy(encoded);
        using var codec = SKCodec.Create(data) ?? throw new PictureException(RejectionReason.PictureCorrupt, $"The {format} file is damaged: its header cannot be read.");
        CheckSize(codec.Info.Width, codec.Info.Height, limits);
        return Orient(Decode(codec, format, shorterSide, rgbOf), codec.EncodedOrigin);
    }

    private static void CheckSize(long width, long height, PictureLimits limits)
    {
        if (width <= 0 || height <= 0)
        {
            throw new PictureException(RejectionReason.PictureEmpty, $"The picture is {width} x {height} pixels.");
        }
        if (width > limits.MaxPixels / height)
        {
            throw new PictureException(RejectionReason.PictureTooLarge, $"The picture is {width} x {height} pixels; at most {limits.MaxPixels:N0} in all are decoded.");
        }
    }

    private static Picture Decode(SKCodec codec, PictureFormat format, int? shorterSide, RgbOf rgbOf)
    {
        var size = shorterSide is { } side ? SmallestAtLeast(codec, side) : codec.Info.Size;
        var wanted = new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul, SRgb);
        var result = codec.GetPixels(wanted, out var rgba);
        return result == SKCodecResult.Success
            ? new Picture(size.Width, size.Height, rgbOf(rgba))
            : throw new PictureException(
                result is SKCodecResult.Unimplemented or SKCodecResult.InvalidConversion ? RejectionReason.PictureUnsupported : RejectionReason.PictureCorrupt,
                $"The {format} file cannot be decoded: {result}.");
    }

    private static SKSizeI SmallestAtLeast(SKCodec codec, int side)
    {
        for (var eighths = 1; eighths < 8; eighths++)
        {
            var size = codec.GetScaledDimensions(eighths / 8f);
            if (Math.Min(size.Width, size.Height) >= side)
            {
                return size;
            }
        }
        return codec.Info.Size;
    }

    /// <summary>The colours that are taken from decoded pixels, <c>[..., 4]</c> with alpha last.</summary>
    private delegate byte[] RgbOf(ReadOnlySpan<byte> rgba);

    private static readonly SKColorSpace SRgb = SKColorSpace.CreateSrgb();

    private static byte[] LayOnWhite(ReadOnlySpan<byte> rgba)
    {
        var rgb = new byte[rgba.Length / 4 * 3];
        for (int from = 0, to = 0; from < rgba.Length; from += 4, to += 3)
        {
            int alpha = rgba[from + 3];
            for (var channel = 0; channel < 3; channel++)
            {
                rgb[to + channel] = (byte)((rgba[from + channel] * alpha + 255 * (255 - alpha) + 127) / 255);
            }
        }
        return rgb;
    }

    private static byte[] Opacity(ReadOnlySpan<byte> rgba)
    {
        var rgb = new byte[rgba.Length / 4 * 3];
        for (int from = 3, to = 0; from < rgba.Length; from += 4, to += 3)
        {
            rgb.AsSpan(to, 3).Fill(rgba[from]);
        }
        return rgb;
    }

    private static Picture Orient(Picture stored, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft or SKEncodedOrigin.Default)
        {
            return stored;
        }
        var (w, h) = (stored.Width, stored.Height);
        var turned = origin >= SKEncodedOrigin.LeftTop;
        var upright = new Picture(turned ? h : w, turned ? w : h, new byte[stored.Rgb.Length]);
        for (var y = 0; y < upright.Height; y++)
        {
            for (var x = 0; x < upright.Width; x++)
            {
                // Named after where row 0 and column 0 of the file are seen: RightTop has its first row along the right side.
                var (column, row) = origin switch
                {
                    SKEncodedOrigin.TopRight => (w - 1 - x, y),
                    SKEncodedOrigin.BottomRight => (w - 1 - x, h - 1 - y),
                    SKEncodedOrigin.BottomLeft => (x, h - 1 - y),
                    SKEncodedOrigin.LeftTop => (y, x),
                    SKEncodedOrigin.RightTop => (y, h - 1 - x),
                    SKEncodedOrigin.RightBottom => (w - 1 - y, h - 1 - x),
                    SKEncodedOrigin.LeftBottom => (w - 1 - y, x),
                    _ => (x, y),
                };
                stored.Rgb.AsSpan(3 * (row * w + column), 3).CopyTo(upright.Rgb.AsSpan(3 * (y * upright.Width + x)));
            }
        }
        return upright;
    }
}
