using System.Buffers.Binary;
using Dalle.Model.Native;

namespace Dalle.Model.Tests.Native;

public sealed class ElfVersionNeedsTests
{
    [Fact]
    public void Weaken_NamedVersion_MarksItAndNothingElse()
    {
        var image = Image();

        Assert.Equal(1, ElfVersionNeeds.Weaken(image, "GLIBCXX_3.4.32"));

        var expected = Image();
        expected[256 + 16 + 4] |= 2;
        Assert.Equal(expected, image);
    }

    [Theory]
    [InlineData("GLIBCXX_3.4.3")]
    [InlineData("GLIBCXX_3.4.320")]
    [InlineData("LIBCXX_3.4.32")]
    public void Weaken_AnotherVersion_ChangesNothing(string version)
    {
        var image = Image();

        Assert.Equal(0, ElfVersionNeeds.Weaken(image, version));

        Assert.Equal(Image(), image);
    }

    [Fact]
    public void Weaken_CutAnywhere_IsRefused() => Assert.All(
        Enumerable.Range(0, 335), length => Assert.Throws<BadImageFormatException>(() => ElfVersionNeeds.Weaken(Image().AsSpan(0, length), "GLIBCXX_3.4.32")));

    // A header, two section headers at 64 (needs at 256, names at 320), one library that needs one version.
    private static byte[] Image()
    {
        var image = new byte[336];
        "\u007fELF\u0002\u0001"u8.CopyTo(image);
        Write(0x28, 64, 8);
        Write(0x3A, 64, 2);
        Write(0x3C, 2, 2);
        Write(64 + 4, 0x6ffffffe, 4);
        Write(64 + 24, 256, 8);
        Write(64 + 40, 1, 4);
        Write(128 + 24, 320, 8);
        Write(256 + 2, 1, 2);
        Write(256 + 8, 16, 4);
        Write(256 + 16 + 8, 1, 4);
        "GLIBCXX_3.4.32"u8.CopyTo(image.AsSpan(321));
        return image;

        void Write(int offset, ulong value, int size)
        {
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
            bytes[..size].CopyTo(image.AsSpan(offset));
        }
    }
}
