using Dalle.Collectives.Transport;
using Microsoft.Extensions.Time.Testing;
using static Dalle.Collectives.Tests.Transport.Peers;

namespace Dalle.Collectives.Tests.Transport;

public sealed class LossTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Peer_OfWhichNothingIsHeard_IsLostWithinTheLease()
    {
        var time = new FakeTimeProvider();
        await using var peers = new Peers();
        peers.Add(Options("a", time: time, lease: Lease));
        peers.Add(Options("b", lease: Long));
        await peers.Exchange(0, 1, Key(), Bytes(10), new byte[10]);
        await peers.Exchange(1, 0, Key(), Bytes(10), new byte[10]);
        var waiting = peers.Jobs[0].Receive(peers.Addresses[1], Key(tag: 1), new byte[5], Token);
        for (var tick = 0; tick < 5; tick++)
        {
            time.Advance(Lease / 5);
        }

        Assert.Equal(("b", PeerLoss.LeaseExpired), await Lost(waiting));
    }

    [Fact]
    public async Task Peers_ThatAreIdle_KeepEachOthersLease()
    {
        var (first, second) = (new FakeTimeProvider(), new FakeTimeProvider());
        await using var peers = new Peers();
        peers.Add(Options("a", time: first, lease: Lease));
        peers.Add(Options("b", time: second, lease: Lease));
        await peers.Exchange(0, 1, Key(), Bytes(10), new byte[10]);
        var received = new byte[10];
        var waiting = peers.Jobs[0].Receive(peers.Addresses[1], Key(tag: 1), received, Token);
        for (var tick = 0; tick < 20; tick++)
        {
            foreach (var (time, hears) in ((FakeTimeProvider, JobTransport)[])[(first, peers.Jobs[1]), (second, peers.Jobs[0])])
            {
                // Whoever has just written a message owes no heartbeat.
                var before = hears.ReceivedBytes;
                time.Advance(Lease / 5);
                if (tick > 0)
                {
                    await MessageTests.Until(() => hears.ReceivedBytes > before);
                }
            }
        }

        await peers.Jobs[1].Send(peers.Addresses[0], Key(tag: 1), Bytes(10), Token);
        await waiting;
        Assert.Equal(Bytes(10), received);
    }

    [Fact]
    public async Task Peer_ThatEnds_FailsWhatIsUnderWayWithItAtOnce_AndNothingElse()
    {
        await using var peers = Of(2);
        await using var third = new TransportEndpoint(Options("peer-2"));
        var job = third.Open(Job, 1);
        var lost = peers.Jobs[0].Receive(third.Address, Key(), new byte[5], Token);
        var kept = peers.Jobs[0].Receive(peers.Addresses[1], Key(), new byte[5], Token);
        await job.Send(peers.Addresses[0], Key(tag: 1), Bytes(10), Token);
        await third.DisposeAsync();
        Assert.Equal(("peer-2", PeerLoss.Left), await Lost(lost));
        Assert.Equal(("peer-2", PeerLoss.Left), await Lost(peers.Jobs[0].Send(third.Address, Key(), new byte[5], Token)));
        Assert.False(kept.IsCompleted);

        // What it sent before it left is still there.
        var received = new byte[10];
        await peers.Jobs[0].Receive(third.Address, Key(tag: 1), received, Token);
        Assert.Equal(Bytes(10), received);
        await peers.Jobs[1].Send(peers.Addresses[0], Key(), new byte[5], Token);
        await kept;
    }

    [Fact]
    public async Task Peer_ThatEndsWithinAMessage_FailsItsReceiver()
    {
        await using var peers = new Peers();
        peers.Add(Options("a", lease: Lease));
        peers.Add(Options("b", earlyBytes: 4096, lease: Lease));
        var sending = peers.Jobs[0].Send(peers.Addresses[1], Key(), new byte[30_000_000], Token);
        await MessageTests.Until(() => peers.Jobs[1].Peer("a").Receives.Paused);
        var leaving = peers.Jobs[1].DisposeAsync();
        await Assert.ThrowsAsync<PeerLostException>(() => sending);
        await leaving;
    }

    [Fact]
    public async Task LostPeer_MayComeBackInTheNextEpoch()
    {
        await using var peers = Of(1);
        for (var epoch = 1; epoch <= 3; epoch++)
        {
            await using var other = new TransportEndpoint(Options("peer-1"));
            await using var job = other.Open(Job, epoch);
            var received = new byte[100_000];
            var receiving = job.Receive(peers.Addresses[0], Key(epoch: epoch), received, Token);
            await peers.Jobs[0].Send(other.Address, Key(epoch: epoch), Bytes(100_000), Token);
            await receiving;
            Assert.Equal(Bytes(100_000), received);
            await other.DisposeAsync();
            Assert.Equal(PeerLoss.Left, (await Lost(peers.Jobs[0].Receive(other.Address, Key(tag: 1, epoch: epoch), new byte[1], Token))).Loss);
            peers.Jobs[0].BeginEpoch(epoch + 1);
        }
    }

    [Fact]
    public async Task Receive_ThatIsGivenUp_LetsTheStreamGoOn()
    {
        await using var peers = Of(2);
        using var cancellation = new CancellationTokenSource();
        var target = new byte[100_000];
        var waiting = peers.Jobs[1].Receive(peers.Addresses[0], Key(), target, cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await peers.Jobs[0].Send(peers.Addresses[1], Key(), Bytes(100_000), Token);
        var received = new byte[10];
        await peers.Exchange(0, 1, Key(tag: 1), Bytes(10), received);
        Assert.Equal(Bytes(10), received);
        Assert.All(target, value => Assert.Equal(0, value));
        Assert.Equal(0, peers.Jobs[1].Peer("peer-0").Receives.EarlyBytes);

        // Its place is free again: all of the message has come.
        await peers.Exchange(0, 1, Key(), Bytes(100_000), target);
        Assert.Equal(Bytes(100_000), target);
    }

    [Fact]
    public async Task Receive_ThatIsGivenUpWithinAMessage_LeavesItsMemoryAlone()
    {
        await using var peers = Of(1);
        using var raw = new RawPeer(peers.Addresses[0]);
        using var cancellation = new CancellationTokenSource();
        var target = new byte[8192];
        var waiting = peers.Jobs[0].Receive(RawPeer.Address, Key(), target, cancellation.Token);
        raw.Stream.Write(RawPeer.Frame(Key(), Bytes(4096)));
        await MessageTests.Until(() => peers.Jobs[0].ReceivedBytes == 64 + 4096);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Array.Clear(target);
        var next = peers.Jobs[0].Receive(RawPeer.Address, Key(tag: 1), new byte[4096], Token);
        raw.Stream.Write(RawPeer.Frame(Key(), Bytes(4096), sequence: 1));
        raw.Stream.Write(RawPeer.Frame(Key(tag: 1), Bytes(4096)));
        await next;
        Assert.All(target, value => Assert.Equal(0, value));
    }

    [Fact]
    public async Task Send_ThatIsGivenUp_IsNotSent()
    {
        await using var peers = new Peers();
        peers.Add(Options("a"));
        peers.Add(Options("b", earlyBytes: 4096));
        var first = peers.Jobs[0].Send(peers.Addresses[1], Key(), Bytes(20_000_000), Token);
        await MessageTests.Until(() => peers.Jobs[1].Peer("a").Receives.Paused);
        using var cancellation = new CancellationTokenSource();
        var second = peers.Jobs[0].Send(peers.Addresses[1], Key(tag: 1), Bytes(10), cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await peers.Jobs[1].Receive(peers.Addresses[0], Key(), new byte[20_000_000], Token);
        await first;
        await peers.Exchange(0, 1, Key(tag: 2), Bytes(10), new byte[10]);
        Assert.Equal(0, peers.Jobs[1].Peer("a").Receives.EarlyBytes);
    }

    [Fact]
    public async Task Message_WaitedForTwice_IsRefused()
    {
        await using var peers = Of(2);
        _ = peers.Jobs[0].Receive(peers.Addresses[1], Key(), new byte[5], Token);
        await Assert.ThrowsAsync<InvalidOperationException>(() => peers.Jobs[0].Receive(peers.Addresses[1], Key(), new byte[5], Token));
    }

    private static async Task<(string Peer, PeerLoss Loss)> Lost(Task operation)
    {
        var lost = await Assert.ThrowsAsync<PeerLostException>(() => operation);
        return (lost.Peer, lost.Loss);
    }
}
