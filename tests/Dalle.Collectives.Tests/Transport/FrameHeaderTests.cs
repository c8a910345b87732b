using System.Buffers.Binary;
using System.IO.Hashing;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Transport;

public sealed class FrameHeaderTests
{
    private static readonly FrameHeader Header = new(FrameKind.Chunk, 0x1234_5678_9ABC_DEF0, new MessageKey(5, 1L << 40, -3, 7, 65535, 2), 9, 4096, 42);

    [Fact]
    public void Header_ComesBackAsItWasWritten()
    {
        var bytes = new byte[FrameHeader.Size];
        Header.Write(bytes);
        Assert.Equal(Header, FrameHeader.Read(bytes, 4096));
    }

    [Fact]
    public void Header_WithAnyBitChanged_IsRefused()
    {
        var bytes = new byte[FrameHeader.Size];
        for (var bit = 0; bit < 8 * FrameHeader.Size; bit++)
        {
            Header.Write(bytes);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<TransportException>(() => FrameHeader.Read(bytes, 4096));
        }
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(4097)]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    public void Header_WithALengthNoFrameHas_IsRefused(int length)
    {
        var bytes = new byte[FrameHeader.Size];
        (Header with { Length = length }).Write(bytes);
        Assert.Contains("1 to 4096 bytes", Assert.Throws<TransportException>(() => FrameHeader.Read(bytes, 4096)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "the mark")]
    [InlineData(4, "the version")]
    [InlineData(7, "the kind")]
    [InlineData(56, "the header's checksum")]
    public void Header_OfAnotherKind_SaysWhatWasExpected(int at, string what)
    {
        var bytes = new byte[FrameHeader.Size];
        Header.Write(bytes);
        bytes[at] ^= 0x55;
        if (at != 56)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(56), XxHash3.HashToUInt64(bytes.AsSpan(0, 56)));
        }

        Assert.Contains(what, Assert.Throws<TransportException>(() => FrameHeader.Read(bytes, 4096)).Message, StringComparison.Ordinal);
    }
}
