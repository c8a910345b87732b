using Dalle.Grains.Events;

namespace Dalle.Grains.Tests.Events;

public sealed class EventLogTests
{
    private sealed record Entry(string Text, long Number = 0);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private readonly EventLog<Entry> _log = new((entry, last) => entry with { Number = last + 10 }, entry => entry.Number, capacity: 3);

    [Fact]
    public async Task Add_NumbersEvents_AndFollowTellsThemInOrder()
    {
        Add("a", "b", "c");

        Assert.Equal("a10 b20 c30", await Read());
        Assert.Equal((30, new Entry("c", 30)), (_log.Last, _log.Newest));
    }

    [Theory]
    [InlineData(0, "a10 b20 c30")]
    [InlineData(10, "b20 c30")]
    [InlineData(15, "b20 c30")]
    [InlineData(30, "")]
    [InlineData(99, "")]
    public async Task Follow_After_LeavesOutWhatWasSeen(long after, string expected)
    {
        Add("a", "b", "c");

        Assert.Equal(expected, await Read(after));
    }

    [Fact]
    public async Task Follow_OfMoreThanIsKept_BeginsAtTheOldestKept()
    {
        Add("a", "b", "c", "d", "e");

        Assert.Equal("c30 d40 e50", await Read());
        Assert.Equal("c30 d40 e50", await Read(after: 10));
    }

    [Fact]
    public async Task Follow_TellsWhatComes_AndEndsWhenTheLogIsAtRest()
    {
        var atRest = false;
        await using var reader = _log.Follow(0, () => atRest, Token).GetAsyncEnumerator(Token);
        var first = reader.MoveNextAsync();
        Assert.False(first.IsCompleted);

        Add("a");
        Assert.True(await first);
        var second = reader.MoveNextAsync();
        Assert.False(second.IsCompleted);
        atRest = true;
        Add("b");

        Assert.True(await second);
        Assert.Equal("b", reader.Current.Text);
        Assert.False(await reader.MoveNextAsync());
    }

    [Fact]
    public async Task Wake_LetsAReaderSeeThatNothingComes()
    {
        var atRest = false;
        await using var reader = _log.Follow(0, () => atRest, Token).GetAsyncEnumerator(Token);
        var waiting = reader.MoveNextAsync();

        atRest = true;
        _log.Wake();

        Assert.False(await waiting);
    }

    [Fact]
    public async Task Follow_ByASlowReader_GoesOnWithTheKeptOnes_InOrderAndOnce()
    {
        Add("a", "b");
        await using var reader = _log.Follow(0, () => true, Token).GetAsyncEnumerator(Token);
        Assert.True(await reader.MoveNextAsync());

        // Five more while the reader holds the first: the log forgets two that this reader was never told.
        Add("c", "d", "e", "f", "g");
        var told = new List<string>();
        while (await reader.MoveNextAsync())
        {
            told.Add(reader.Current.Text);
        }

        Assert.Equal(["b", "e", "f", "g"], told);
    }

    [Fact]
    public async Task Follow_CutOffWhileItWaits_Ends_AndLeavesOthersAlone()
    {
        using var cut = new CancellationTokenSource();
        var atRest = false;
        await using var one = _log.Follow(0, () => atRest, cut.Token).GetAsyncEnumerator(cut.Token);
        await using var other = _log.Follow(0, () => atRest, Token).GetAsyncEnumerator(Token);
        var waitingOne = one.MoveNextAsync();
        var waitingOther = other.MoveNextAsync();

        await cut.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waitingOne.AsTask());
        Add("a");

        Assert.True(await waitingOther);
    }

    private void Add(params string[] texts)
    {
        foreach (var text in texts)
        {
            _log.Add(new(text));
        }
    }

    private async Task<string> Read(long after = 0) =>
        string.Join(' ', await _log.Follow(after, () => true, Token).Select(entry => $"{entry.Text}{entry.Number}").ToListAsync(Token));
}
