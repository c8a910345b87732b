using Dalle.Collectives.Transport;
using static Dalle.Collectives.Tests.Transport.Peers;

namespace Dalle.Collectives.Tests.Transport;

public sealed class HostileFrameTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Frames() => new()
    {
        { "garbage", "the mark" },
        { "header", "the header's checksum" },
        { "length", "the length" },
        { "payload", "the checksum" },
        { "job", "of job" },
        { "sequence", "got chunk 1" },
        { "short", "got chunk 0 of 99 bytes" },
        { "long", "got chunk 0 of 101 bytes" },
    };

    [Theory]
    [MemberData(nameof(Frames))]
    public async Task Frame_ThatMayNotBeSent_ClosesTheConnectionAndFailsWhatIsUnderWay(string kind, string message)
    {
        await using var peers = Of(1);
        using var raw = new RawPeer(peers.Addresses[0]);
        var target = new byte[100];
        var waiting = peers.Jobs[0].Receive(RawPeer.Address, Key(), target, Token);
        var other = peers.Jobs[0].Receive(RawPeer.Address, Key(tag: 1), new byte[5], Token);
        raw.Stream.Write(Hostile(kind));
        var lost = await Assert.ThrowsAsync<PeerLostException>(() => waiting);
        Assert.Equal((RawPeer.Name, PeerLoss.Violation), (lost.Peer, lost.Loss));
        Assert.Contains(message, lost.Message, StringComparison.Ordinal);
        Assert.IsType<TransportException>(lost.InnerException);
        await Assert.ThrowsAsync<PeerLostException>(() => other);
        await Assert.ThrowsAsync<PeerLostException>(() => peers.Jobs[0].Send(RawPeer.Address, Key(), new byte[5], Token));
        raw.WaitForEnd();
    }

    [Fact]
    public void Length_OfTwoGibibytes_AllocatesNothing()
    {
        var bytes = Hostile("length");
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<TransportException>(() => FrameHeader.Read(bytes, 4096));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public async Task EarlyFrames_ThatAreNotTheMessageWaitedFor_CloseTheConnection()
    {
        await using var peers = Of(1);
        using var raw = new RawPeer(peers.Addresses[0]);
        raw.Stream.Write(RawPeer.Frame(Key(), Bytes(50)));
        await MessageTests.Until(() => peers.Jobs[0].Peer(RawPeer.Name).Receives.EarlyBytes > 0);
        await MessageTests.Until(() => peers.Jobs[0].ReceivedBytes == 64 + 50);
        var error = await Assert.ThrowsAnyAsync<TransportException>(() => peers.Jobs[0].Receive(RawPeer.Address, Key(), new byte[100], Token));
        Assert.Contains(error is PeerLostException ? "broke the protocol" : "100 bytes", error.Message, StringComparison.Ordinal);
        raw.WaitForEnd();
    }

    [Fact]
    public async Task ManySmallFrames_ThatNobodyWaitsFor_AreBoundedToo()
    {
        await using var peers = new Peers();
        peers.Add(Options("peer", earlyBytes: 100_000));
        using var raw = new RawPeer(peers.Addresses[0]);
        for (var tag = 0; tag < 1000; tag++)
        {
            raw.Stream.Write(RawPeer.Frame(Key(tag), [1]));
        }

        var table = peers.Jobs[0].Peer(RawPeer.Name).Receives;
        await MessageTests.Until(() => table.Paused);
        Assert.InRange(table.EarlyBytes, 1, 100_000);
    }

    [Theory]
    [InlineData(30)]
    [InlineData(64)]
    [InlineData(100)]
    public async Task Connection_ThatEndsWithinAFrame_FailsWhatIsUnderWay(int bytes)
    {
        await using var peers = Of(1);
        using var raw = new RawPeer(peers.Addresses[0]);
        var waiting = peers.Jobs[0].Receive(RawPeer.Address, Key(), new byte[100], Token);
        var other = peers.Jobs[0].Receive(RawPeer.Address, Key(tag: 1), new byte[5], Token);
        raw.Stream.Write(RawPeer.Frame(Key(), Bytes(100)).AsSpan(0, bytes));
        raw.Dispose();
        Assert.Equal(PeerLoss.Closed, (await Assert.ThrowsAsync<PeerLostException>(() => waiting)).Loss);
        await Assert.ThrowsAsync<PeerLostException>(() => other);
    }

    [Fact]
    public async Task Frames_OfAnOldEpoch_AreReadAndDropped()
    {
        await using var peers = Of(1);
        peers.Jobs[0].BeginEpoch(3);
        using var raw = new RawPeer(peers.Addresses[0], epoch: 3);
        var received = new byte[100];
        var waiting = peers.Jobs[0].Receive(RawPeer.Address, Key(epoch: 3), received, Token);
        raw.Stream.Write(RawPeer.Frame(Key(epoch: 1), Bytes(4096, seed: 5)));
        raw.Stream.Write(RawPeer.Frame(Key(epoch: 2), Bytes(100, seed: 6)));
        raw.Stream.Write(RawPeer.Frame(Key(epoch: 3), Bytes(100)));
        await waiting;
        Assert.Equal(Bytes(100), received);
        Assert.Equal(0, peers.Jobs[0].Peer(RawPeer.Name).Receives.EarlyBytes);
    }

    private static byte[] Hostile(string kind)
    {
        var frame = RawPeer.Frame(Key(), Bytes(100));
        switch (kind)
        {
            case "garbage":
                return Bytes(1000, seed: 9);
            case "header":
                frame[20] ^= 1;
                return frame;
            case "payload":
                frame[^1] ^= 1;
                return frame;
            case "length":
                new FrameHeader(FrameKind.Chunk, JobTransport.NumberOf(Job), Key(), 0, int.MaxValue, 0).Write(frame);
                return frame;
            case "job":
                new FrameHeader(FrameKind.Chunk, JobTransport.NumberOf("another"), Key(), 0, 100, 0).Write(frame);
                return frame;
            case "sequence":
                return RawPeer.Frame(Key(), Bytes(100), sequence: 1);
            default:
                return RawPeer.Frame(Key(), Bytes(kind == "short" ? 99 : 101));
        }
    }
}
