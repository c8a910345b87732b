using Dalle.Collectives.Groups;

namespace Dalle.Collectives.Tests.Groups;

public sealed class CollectiveTests
{
    private static readonly CollectiveKey Key = new(Step: 3, Tag: 4);

    /// <summary>Whole groups in one process, one process a rank, and mixtures; lengths below, at and around the number of ranks, the direct way's end and the pieces' ends.</summary>
    public static TheoryData<string, int> Cases()
    {
        var cases = new TheoryData<string, int>();
        foreach (var layout in (string[])["0", "00", "01", "001", "012", "0123", "0101", "01234", "00122"])
        {
            foreach (var length in (int[])[0, 1, 3, 5, 1023, 8191, 200_003])
            {
                cases.Add(layout, length);
            }
        }

        cases.Add("01", 3_000_001);
        cases.Add("001", 1_000_003);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task AllReduce_GivesEveryRankTheSumInRankOrder(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: length);
        var arrays = Enumerable.Range(0, ranks.Size).Select(rank => Numbers.Of(rank, length)).ToArray();
        await ranks.Run(group => group.AllReduce(Key, Elements.OfFloat32(arrays[group.Rank]), Token));
        var expected = Numbers.Sum(ranks.Size, length);
        Assert.All(arrays, array => Numbers.AssertSameBits(expected, array));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task ReduceScatter_GivesEachRankItsPartOfTheSum_AndAllGatherTheWhole(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: length);
        var counts = Parts.Even(length, ranks.Size).Counts;
        var parts = counts.Select(count => new float[count]).ToArray();
        var wholes = counts.Select(_ => new float[length]).ToArray();
        await ranks.Run(async group =>
        {
            var source = Numbers.Of(group.Rank, length);
            await group.ReduceScatter(Key, Elements.OfFloat32(source), Elements.OfFloat32(parts[group.Rank]), counts: null, Token);
            Numbers.AssertSameBits(Numbers.Of(group.Rank, length), source);
            await group.AllGather(Key with { Tag = 5 }, Elements.OfFloat32(parts[group.Rank]), Elements.OfFloat32(wholes[group.Rank]), counts: null, Token);
        });
        var expected = Numbers.Sum(ranks.Size, length);
        Numbers.AssertSameBits(expected, parts.SelectMany(part => part).ToArray());
        Assert.All(wholes, whole => Numbers.AssertSameBits(expected, whole));
    }

    [Theory]
    [InlineData("0", 10)]
    [InlineData("01", 0)]
    [InlineData("0112", 100_001)]
    public async Task Broadcast_GivesEveryRankTheRootsArray(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout);
        for (var root = 0; root < ranks.Size; root++)
        {
            var arrays = Enumerable.Range(0, ranks.Size).Select(rank => Numbers.Of(rank, length)).ToArray();
            await ranks.Run(group => group.Broadcast(Key with { Tag = root }, root, Elements.OfFloat32(arrays[group.Rank]), Token));
            Assert.All(arrays, array => Numbers.AssertSameBits(Numbers.Of(root, length), array));
        }
    }

    [Fact]
    public async Task Parts_MayBeOfAnyLengths()
    {
        await using var ranks = Ranks.Of("012");
        int[] counts = [70_000, 0, 130_003];
        var wholes = counts.Select(_ => new float[200_003]).ToArray();
        await ranks.Run(async group =>
        {
            var part = new float[counts[group.Rank]];
            await group.ReduceScatter(Key, Elements.OfFloat32(Numbers.Of(group.Rank, 200_003)), Elements.OfFloat32(part), counts, Token);
            await group.AllGather(Key with { Tag = 5 }, Elements.OfFloat32(part), Elements.OfFloat32(wholes[group.Rank]), counts, Token);
        });
        Assert.All(wholes, whole => Numbers.AssertSameBits(Numbers.Sum(3, 200_003), whole));
    }

    [Fact]
    public async Task AllReduce_ToAnotherArray_LeavesTheSourceAsItWas()
    {
        await using var ranks = Ranks.Of("01");
        await ranks.Run(async group =>
        {
            var (source, target) = (Numbers.Of(group.Rank, 200_003), new float[200_003]);
            await group.AllReduce(Key, Elements.OfFloat32(source), Elements.OfFloat32(target), Token);
            Numbers.AssertSameBits(Numbers.Of(group.Rank, 200_003), source);
            Numbers.AssertSameBits(Numbers.Sum(2, 200_003), target);
        });
    }

    [Fact]
    public async Task SmallArrays_GoInOneExchange()
    {
        await using var ranks = Ranks.Of("011");
        int[] lengths = [3, 0, 70, 1];
        await ranks.Run(async group =>
        {
            var arrays = lengths.Select(length => Numbers.Of(group.Rank, length)).ToArray();
            await group.AllReduce(Key, [.. arrays.Select(array => Elements.OfFloat32(array))], Token);
            Assert.All(lengths.Zip(arrays), pair => Numbers.AssertSameBits(Numbers.Sum(3, pair.First), pair.Second));
            await group.Broadcast(Key with { Tag = 9 }, 2, [.. arrays.Select(array => Elements.OfFloat32(array))], Token);
            Assert.Equal(2 * 74 * 4 + (group.Rank == 2 ? 2 * 74 * 4 : 0), group.SentBytes);
        });
    }

    [Fact]
    public async Task Operations_WithDifferentKeys_MayBeUnderWayAtOnce()
    {
        await using var ranks = Ranks.Of("0121", shuffle: 1);
        await ranks.Run(async group =>
        {
            var arrays = Enumerable.Range(0, 20).Select(i => Numbers.Of(group.Rank, 10_000 * i)).ToArray();
            // Each rank begins them in an order of its own.
            await Task.WhenAll(arrays.Index().OrderBy(pair => (pair.Index + (7 * group.Rank)) % 20)
                .Select(pair => group.AllReduce(new CollectiveKey(8, pair.Index), Elements.OfFloat32(pair.Item), Token)));
            Assert.All(arrays, array => Numbers.AssertSameBits(Numbers.Sum(4, array.Length), array));
        });
    }

    [Theory]
    [InlineData("01", 100)]
    [InlineData("01", 1_000_001)]
    [InlineData("012", 1_000_000)]
    [InlineData("00112", 999_999)]
    public async Task Bytes_AreThoseOfTheFormula(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout);
        var size = ranks.Size;
        await ranks.Run(group => group.AllReduce(Key, Elements.OfFloat32(new float[length]), Token));
        var direct = (long)(size - 1) * length * 4 <= Reduction.DirectBytes;
        var total = Enumerable.Range(0, size).Sum(rank => ranks[rank].SentBytes);
        Assert.Equal(total, Enumerable.Range(0, size).Sum(rank => ranks[rank].ReceivedBytes));
        Assert.Equal(direct ? (long)size * (size - 1) * length * 4 : 2L * (size - 1) * length * 4, total);
        Assert.All(Enumerable.Range(0, size), rank => Assert.InRange(ranks[rank].SentBytes, direct ? 0 : 2L * (size - 1) * (length - (8 * size)) * 4 / size, long.MaxValue));
    }

    [Fact]
    public async Task Bytes_OfReduceScatterAndAllGather_AreThoseOfTheFormula()
    {
        await using var ranks = Ranks.Of("012");
        int[] counts = [100_000, 1, 200_000];
        await ranks.Run(async group =>
        {
            var (whole, part) = (new float[300_001], new float[counts[group.Rank]]);
            await group.ReduceScatter(Key, Elements.OfFloat32(whole), Elements.OfFloat32(part), counts, Token);
            Assert.Equal((300_001 - part.Length) * 4, group.SentBytes);
            Assert.Equal(2 * part.Length * 4, group.ReceivedBytes);
            await group.AllGather(Key with { Tag = 5 }, Elements.OfFloat32(part), Elements.OfFloat32(whole), counts, Token);
            Assert.Equal((300_001 + part.Length) * 4, group.SentBytes);
            Assert.Equal((300_001 + part.Length) * 4, group.ReceivedBytes);
        });
    }

    [Fact]
    public async Task Arrays_ThatDoNotFitTogether_AreRefused()
    {
        await using var ranks = Ranks.Of("0");
        var three = Elements.OfFloat32(new float[3]);
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduce(Key, three, Elements.OfFloat32(new float[4]), Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduce(Key, three, Elements.OfBFloat16(new ushort[3]), Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].ReduceScatter(Key, three, three, [2], Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduce(Key, [three, Elements.OfBFloat16(new ushort[3])], Token));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;
}
