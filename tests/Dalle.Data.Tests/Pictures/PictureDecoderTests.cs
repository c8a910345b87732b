using System.Buffers.Binary;
using Dalle.Data.Pictures;
using Dalle.Data.Sources;
using SkiaSharp;

namespace Dalle.Data.Tests.Pictures;

public sealed class PictureDecoderTests
{
    [Theory]
    [InlineData("palette.png", 0)]
    [InlineData("plain.bmp", 0)]
    [InlineData("sixteen-bit.png", 1)]
    [InlineData("lossy.webp", 40)]
    [InlineData("cmyk.jpg", 25)]
    [InlineData("animated.gif", 0)]
    [InlineData("animated.webp", 0)]
    public void Decode_EveryFormat_GivesTheColours(string file, int tolerance) =>
        Fixture.AssertQuarters(PictureDecoder.Decode(Fixture.Read(file)), tolerance);

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(7), InlineData(8)]
    public void Decode_ExifOrientation_IsUpright(int orientation) =>
        Fixture.AssertQuarters(PictureDecoder.Decode(Fixture.Read($"exif-{orientation}.jpg")), 15);

    [Theory]
    [InlineData("grey.jpg")]
    [InlineData("grey.png")]
    public void Decode_Grey_HasEqualChannels(string file)
    {
        var picture = PictureDecoder.Decode(Fixture.Read(file));
        for (var i = 0; i < picture.Rgb.Length; i += 3)
        {
            Assert.True(picture.Rgb[i] == picture.Rgb[i + 1] && picture.Rgb[i] == picture.Rgb[i + 2]);
        }
        Assert.True(picture.At(18, 4).R > picture.At(5, 12).R + 50, "Green is lighter than blue.");
    }

    [Theory]
    [InlineData("alpha.png")]
    [InlineData("alpha.webp")]
    public void Decode_Transparency_IsLaidOnWhite(string file)
    {
        var picture = PictureDecoder.Decode(Fixture.Read(file));
        Assert.Equal((230, 20, 20), picture.At(3, 3));
        Fixture.AssertNear((127, 127, 255), picture.At(18, 3), 1);
        Assert.Equal((255, 255, 255), picture.At(18, 12));
    }

    [Fact]
    public void Decode_NothingOrWrongType_IsNamed()
    {
        Assert.Equal(RejectionReason.PictureEmpty, Reason([]));
        Assert.Equal(RejectionReason.PictureUnsupported, Reason("<html><body>404 not found</body></html>"u8));
        Assert.Equal(RejectionReason.PictureUnsupported, Reason([0xFF]));
        Assert.Equal(RejectionReason.PictureCorrupt, Reason([0xFF, 0xD8, 0xFF, 0xE0]));
    }

    [Theory]
    [InlineData(0, 16)]
    [InlineData(24, 0)]
    [InlineData(0, 0)]
    public void Decode_PngWithoutPixels_IsEmpty(int width, int height) => Assert.Equal(RejectionReason.PictureEmpty, Reason(PngDeclaring(width, height)));

    [Fact]
    public void Decode_GifWithoutPixels_IsEmpty()
    {
        var gif = Fixture.Read("animated.gif");
        gif.AsSpan(6, 4).Clear();
        Assert.Equal(RejectionReason.PictureEmpty, Reason(gif));
    }

    [Fact]
    public void Decode_DecompressionBomb_IsRefusedBeforeItIsDecoded()
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(RejectionReason.PictureTooLarge, Reason(PngDeclaring(100_000, 100_000)));
        Assert.Equal(RejectionReason.PictureTooLarge, Reason(PngDeclaring(int.MaxValue, int.MaxValue)));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
    }

    [Fact]
    public void Decode_LimitsHold()
    {
        var png = Fixture.Read("palette.png");
        Assert.Equal(RejectionReason.PictureTooLarge, Reason(png, new PictureLimits { MaxBytes = png.Length - 1 }));
        Assert.Equal(RejectionReason.PictureTooLarge, Reason(png, new PictureLimits { MaxPixels = 24 * 16 - 1 }));
        PictureDecoder.Decode(png, new PictureLimits { MaxBytes = png.Length, MaxPixels = 24 * 16 });
    }

    [Fact]
    public void DecodeAtLeast_LargeJpeg_IsSmallerButLargeEnough()
    {
        var jpeg = Fixture.Encode(Fixture.Draw(800, 600), SKEncodedImageFormat.Jpeg);
        var picture = PictureDecoder.DecodeAtLeast(jpeg, 128);
        Assert.Equal((200, 150), (picture.Width, picture.Height));
        Fixture.AssertNear(Fixture.Quarters[3], picture.At(150, 110), 12);
        Assert.Equal(600, PictureDecoder.DecodeAtLeast(jpeg, 5000).Height);
    }

    [Fact]
    public void DecodeAtLeast_Png_IsWhole() =>
        Assert.Equal(24, PictureDecoder.DecodeAtLeast(Fixture.Read("palette.png"), 2).Width);

    [Theory]
    [InlineData("exif-6.jpg")]
    [InlineData("cmyk.jpg")]
    [InlineData("sixteen-bit.png")]
    [InlineData("lossy.webp")]
    [InlineData("animated.webp")]
    [InlineData("animated.gif")]
    [InlineData("plain.bmp")]
    public void Decode_TruncatedAnywhere_IsAPictureOrATypedError(string file)
    {
        var whole = Fixture.Read(file);
        var refused = 0;
        for (var length = 0; length < whole.Length; length++)
        {
            refused += DecodesOrIsTyped(whole.AsSpan(0, length)) ? 0 : 1;
        }
        // An animation whose first frame is whole is still a picture.
        Assert.True(refused >= whole.Length / 3, $"{refused} of {whole.Length} prefixes were refused.");
        Assert.False(DecodesOrIsTyped(whole.AsSpan(0, 20)));
    }

    [Theory]
    [InlineData("exif-6.jpg")]
    [InlineData("cmyk.jpg")]
    [InlineData("sixteen-bit.png")]
    [InlineData("lossy.webp")]
    [InlineData("animated.gif")]
    [InlineData("plain.bmp")]
    public void Decode_FlippedBytes_IsAPictureOrATypedError(string file)
    {
        var whole = Fixture.Read(file);
        var limits = new PictureLimits { MaxPixels = 4_000_000 };
        var decoded = 0;
        for (var i = 0; i < whole.Length; i++)
        {
            foreach (var mask in (byte[])[0xFF, 0x01, 0x80])
            {
                var damaged = (byte[])whole.Clone();
                damaged[i] ^= mask;
                decoded += DecodesOrIsTyped(damaged, limits) ? 1 : 0;
            }
        }
        Assert.InRange(decoded, 1, (3 * whole.Length) - 1);
    }

    private static bool DecodesOrIsTyped(ReadOnlySpan<byte> encoded, PictureLimits? limits = null)
    {
        try
        {
            var picture = PictureDecoder.Decode(encoded, limits);
            Assert.Equal(picture.Width * picture.Height * 3, picture.Rgb.Length);
            return true;
        }
        catch (PictureException)
        {
            return false;
        }
    }

    private static RejectionReason Reason(ReadOnlySpan<byte> encoded, PictureLimits? limits = null)
    {
        try
        {
            PictureDecoder.Decode(encoded, limits);
        }
        catch (PictureException refused)
        {
            return refused.Reason;
        }
        throw new InvalidOperationException("The picture was decoded.");
    }

    private static byte[] PngDeclaring(int width, int height)
    {
        var png = Fixture.Read("palette.png");
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(16), width);
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(20), height);
        BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(29), System.IO.Hashing.Crc32.HashToUInt32(png.AsSpan(12, 17)));
        return png;
    }
}
