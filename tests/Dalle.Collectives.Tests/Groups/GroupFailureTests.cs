using Dalle.Collectives.Groups;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Groups;

public sealed class GroupFailureTests
{
    private static readonly CollectiveKey Key = new(Step: 3, Tag: 4);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(100)]
    [InlineData(1_000_000)]
    public async Task Member_ThatIsLost_FailsTheOperationOnEveryOtherRank(int length)
    {
        await using var ranks = Ranks.Of("012");
        // Everybody has met everybody, so that rank 2 is lost and not unreachable.
        await ranks.Run(group => group.AllReduce(Key, Elements.OfFloat32(new float[10]), Token));
        var running = Enumerable.Range(0, 2).Select(rank => ranks[rank].AllReduce(Key with { Tag = 5 }, Elements.OfFloat32(new float[length]), Token)).ToArray();
        await ranks.Peers.Jobs[2].DisposeAsync();
        foreach (var operation in running)
        {
            Assert.Equal("peer-2", (await Assert.ThrowsAsync<PeerLostException>(() => operation)).Peer);
        }
    }

    [Theory]
    [InlineData("01", 100)]
    [InlineData("01", 1_000_000)]
    [InlineData("0011", 1_000_000)]
    public async Task Operation_ThatIsGivenUp_EndsAndTheNextOneWorks(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout);
        using var cancellation = new CancellationTokenSource();
        var arrays = Enumerable.Range(0, ranks.Size).Select(rank => Numbers.Of(rank, length)).ToArray();
        var alone = ranks[0].AllReduce(Key, ranks[0].OwnOf(arrays), Elements.OfFloat32(new float[length]), cancellation.Token);
        Assert.False(alone.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => alone);
        Assert.Equal(0, ranks[0].SentBytes);
        await ranks.Run(async group =>
        {
            var target = new float[length];
            await group.AllReduce(Key with { Tag = 5 }, group.OwnOf(arrays), Elements.OfFloat32(target), Token);
            Numbers.AssertSameBits(Numbers.Sum(ranks.Size, length), target);
        });
    }

    [Fact]
    public async Task Epoch_ThatEnds_FailsItsGroups()
    {
        await using var ranks = Ranks.Of("01");
        var alone = ranks[0].AllReduce(Key, Elements.OfFloat32(new float[1_000_000]), Token);
        ranks.Peers.Jobs[0].BeginEpoch(2);
        Assert.Contains("epoch 2", (await Assert.ThrowsAsync<TransportException>(() => alone)).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<TransportException>(() => ranks[0].AllReduce(Key, Elements.OfFloat32(new float[10]), Token));
    }

    [Fact]
    public async Task Ranks_WithArraysOfDifferentLengths_FailInsteadOfAddingThem()
    {
        await using var ranks = Ranks.Of("01");
        var operations = Enumerable.Range(0, 2).Select(rank => ranks[rank].AllReduce(Key, Elements.OfFloat32(new float[100 + rank]), Token)).ToArray();
        foreach (var operation in operations)
        {
            await Assert.ThrowsAnyAsync<TransportException>(() => operation);
        }
    }

    [Fact]
    public async Task Group_WithoutAMemberOfThisProcess_OrWithTwoOfOneNumber_IsRefused()
    {
        await using var ranks = Ranks.Of("01");
        var members = ranks[0].Members;
        Assert.Contains(
            "'peer-0', got only those of [peer-1]", Assert.Throws<ArgumentException>(() => new CollectiveGroup(ranks.Peers.Jobs[0], [members[1]], epoch: 1)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new CollectiveGroup(ranks.Peers.Jobs[0], [members[0], members[0]], epoch: 1));
    }
}
