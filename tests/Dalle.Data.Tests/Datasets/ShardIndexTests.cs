using Dalle.Data.Datasets;

namespace Dalle.Data.Tests.Datasets;

public sealed class ShardIndexTests
{
    [Fact]
    public void Location_RoundTrips_InLittleEndianOrder()
    {
        var location = new ShardLocation(3, new ShardPiece(0x1_0000_0201, 5, 0xF0F1F2F3F4F5F6F7), new ShardPiece(long.MaxValue, int.MaxValue, 8), 640, 480);
        var bytes = new byte[ShardLocation.Bytes];
        location.Write(bytes);

        Assert.Equal(52, bytes.Length);
        Assert.Equal(location, ShardLocation.Read(bytes));
        Assert.Equal("0300000001020000010000000500000" + "0F7F6F5F4F3F2F1F0", Convert.ToHexString(bytes.AsSpan(0, 24)));
        Assert.Equal("80020000E0010000", Convert.ToHexString(bytes.AsSpan(44)));
    }
}
