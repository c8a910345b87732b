using Dalle.Collectives.Transport;
using static Dalle.Collectives.Tests.Transport.Peers;

namespace Dalle.Collectives.Tests.Transport;

public sealed class MessageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(1_000_003)]
    public async Task Message_OfAnyLength_ArrivesAsItWasSent(int length)
    {
        await using var peers = Of(2);
        var (sent, received) = (Bytes(length), new byte[length]);
        await peers.Exchange(0, 1, Key(), sent, received);
        Assert.Equal(sent, received);
        await peers.Exchange(1, 0, Key(tag: 1), sent, received);
        Assert.Equal(sent, received);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Messages_OfBothDirections_ArriveOverEitherKindOfSocket(bool unixSockets)
    {
        await using var peers = new Peers();
        peers.Add(Options("a", unixSockets: unixSockets));
        peers.Add(Options("b", unixSockets: unixSockets));
        var targets = new byte[20][];
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => peers.Exchange(i % 2, 1 - (i % 2), Key(tag: i), Bytes(30_000, seed: i), targets[i] = new byte[30_000])));
        Assert.All(Enumerable.Range(0, 20), i => Assert.Equal(Bytes(30_000, seed: i), targets[i]));
    }

    [Fact]
    public async Task Message_ThatArrivesBeforeItIsWaitedFor_IsKept()
    {
        await using var peers = Of(2);
        var sent = Bytes(50_000);
        await peers.Jobs[0].Send(peers.Addresses[1], Key(tag: 1), sent, Token);
        // The one stream is ordered: when this has arrived, the first has too.
        await peers.Exchange(0, 1, Key(tag: 2), Bytes(10), new byte[10]);
        var received = new byte[50_000];
        await peers.Jobs[1].Receive(peers.Addresses[0], Key(tag: 1), received, Token);
        Assert.Equal(sent, received);
        Assert.Equal(0, peers.Jobs[1].Peer("peer-0").Receives.EarlyBytes);
    }

    [Fact]
    public async Task Message_BeyondTheEarlyBytes_WaitsInTheSocketUntilItIsWaitedFor()
    {
        await using var peers = new Peers();
        peers.Add(Options("a", earlyBytes: 10_000));
        peers.Add(Options("b", earlyBytes: 10_000));
        var sent = Bytes(20_000_000);
        var sending = peers.Jobs[0].Send(peers.Addresses[1], Key(), sent, Token);
        var table = peers.Jobs[1].Peer("a").Receives;
        await Until(() => table.Paused);
        Assert.InRange(table.EarlyBytes, 1, 10_000);
        Assert.False(sending.IsCompleted);
        var received = new byte[sent.Length];
        await peers.Jobs[1].Receive(peers.Addresses[0], Key(), received, Token);
        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task Message_ToThisProcessItself_IsRefused()
    {
        await using var peers = Of(1);
        await Assert.ThrowsAsync<ArgumentException>(() => peers.Jobs[0].Send(peers.Addresses[0], Key(), new byte[5], Token));
        await Assert.ThrowsAsync<ArgumentException>(() => peers.Jobs[0].Receive(peers.Addresses[0], Key(), new byte[5], Token));
    }

    [Fact]
    public async Task Bytes_OnTheWire_ArePayloadsAndOneHeaderAChunk()
    {
        await using var peers = Of(2);
        await peers.Exchange(0, 1, Key(), Bytes(10_000), new byte[10_000]);
        Assert.Equal(10_000 + (3 * 64), peers.Jobs[0].SentBytes);
        Assert.Equal(10_000 + (3 * 64), peers.Jobs[1].ReceivedBytes);
    }

    [Fact]
    public async Task OldEpoch_EndsWhatIsUnderWay_AndItsFramesAreDropped()
    {
        await using var peers = Of(2);
        await peers.Exchange(0, 1, Key(), Bytes(10), new byte[10]);
        var waiting = peers.Jobs[1].Receive(peers.Addresses[0], Key(tag: 5), new byte[100], Token);
        peers.Jobs[1].BeginEpoch(2);
        Assert.Contains("Epoch 1 has ended", (await Assert.ThrowsAsync<TransportException>(() => waiting)).Message, StringComparison.Ordinal);

        await peers.Jobs[0].Send(peers.Addresses[1], Key(tag: 5), Bytes(100_000), Token);
        await Assert.ThrowsAsync<TransportException>(() => peers.Jobs[1].Receive(peers.Addresses[0], Key(tag: 5), new byte[100], Token));
        peers.Jobs[0].BeginEpoch(2);
        var received = new byte[100];
        await peers.Exchange(0, 1, Key(tag: 5, epoch: 2), Bytes(100), received);
        Assert.Equal(Bytes(100), received);
        Assert.Equal(0, peers.Jobs[1].Peer("peer-0").Receives.EarlyBytes);
    }

    [Fact]
    public async Task NewEpoch_OfOnePeer_WaitsForTheOther()
    {
        await using var peers = Of(2);
        await peers.Exchange(0, 1, Key(), Bytes(10), new byte[10]);
        peers.Jobs[0].BeginEpoch(2);
        await peers.Jobs[0].Send(peers.Addresses[1], Key(epoch: 2), Bytes(100), Token);
        await Until(() => peers.Jobs[1].Peer("peer-0").Receives.Paused);
        peers.Jobs[1].BeginEpoch(2);
        var received = new byte[100];
        await peers.Jobs[1].Receive(peers.Addresses[0], Key(epoch: 2), received, Token);
        Assert.Equal(Bytes(100), received);
    }

    /// <summary>Waits for a state of another thread that tells nobody of itself.</summary>
    internal static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(1, Token);
        }
    }
}
