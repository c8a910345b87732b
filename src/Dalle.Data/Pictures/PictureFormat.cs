using System.Buffers.Binary;

namespace Dalle.Data.Pictures;

/// <summary>The kinds of picture file that are read. What a file calls itself does not count, only how it begins.</summary>
public enum PictureFormat
{
    /// <summary>None of the others.</summary>
    Unknown = 0,
    Jpeg = 1,
    Png = 2,
    WebP = 3,
    Gif = 4,
    Bmp = 5,
}

/// <summary>What the first bytes of a picture file say.</summary>
public static class PictureSignature
{
    /// <summary>The file extension of pictures in this format, with its dot.</summary>
    public static string Extension(this PictureFormat format) => format switch
    {
        PictureFormat.Jpeg => ".jpg",
        PictureFormat.Png => ".png",
        PictureFormat.WebP => ".webp",
        PictureFormat.Gif => ".gif",
        PictureFormat.Bmp => ".bmp",
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Only known formats have an extension."),
    };

    /// <summary>Whether a file of this name is worth opening as a picture.</summary>
    public static bool IsPictureName(string name) =>
        Path.GetExtension(name).ToLowerInvariant() is ".jpg" or ".jpeg" or ".png" or ".webp" or ".gif" or ".bmp";

    /// <summary>The format by the file's first bytes.</summary>
    public static PictureFormat Of(ReadOnlySpan<byte> encoded) => encoded switch
    {
        [0xFF, 0xD8, 0xFF, ..] => PictureFormat.Jpeg,
        [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => PictureFormat.Png,
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => PictureFormat.WebP,
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', (byte)'7' or (byte)'9', (byte)'a', ..] => PictureFormat.Gif,
        [(byte)'B', (byte)'M', ..] => PictureFormat.Bmp,
        _ => PictureFormat.Unknown,
    };

    /// <summary>Width and height of a PNG file, from its header.</summary>
    /// <exception cref="ArgumentException">It is no PNG file.</exception>
    public static (int Width, int Height) PngSize(ReadOnlySpan<byte> encoded) => Of(encoded) == PictureFormat.Png && DeclaredSize(PictureFormat.Png, encoded) is var (width, height)
        ? ((int)width, (int)height)
        : throw new ArgumentException("Expected a PNG file.", nameof(encoded));

    /// <summary>
    /// Width and height as the header declares them, for formats that keep them at a fixed place; null otherwise. Decoders call a picture
    /// without pixels corrupt; this tells it apart.
    /// </summary>
    internal static (long Width, long Height)? DeclaredSize(PictureFormat format, ReadOnlySpan<byte> encoded) => format switch
    {
        PictureFormat.Png when encoded.Length >= 24 =>
            (BinaryPrimitives.ReadUInt32BigEndian(encoded[16..]), BinaryPrimitives.ReadUInt32BigEndian(encoded[20..])),
        PictureFormat.Gif when encoded.Length >= 10 =>
            (BinaryPrimitives.ReadUInt16LittleEndian(encoded[6..]), BinaryPrimitives.ReadUInt16LittleEndian(encoded[8..])),
        PictureFormat.Bmp when encoded.Length >= 26 && BinaryPrimitives.ReadUInt32LittleEndian(encoded[14..]) >= 40 =>
            (BinaryPrimitives.ReadInt32LittleEndian(encoded[18..]), Math.Abs((long)BinaryPrimitives.ReadInt32LittleEndian(encoded[22..]))),
        _ => null,
    };
}
