using Dalle.Collectives.Groups;

namespace Dalle.Collectives.Tests.Groups;

public sealed class CollectiveTests
{
    private static readonly CollectiveKey Key = new(Step: 3, Tag: 4);

    /// <summary>Whole groups in one process, one process a rank, and mixtures; lengths below, at and around the number of ranks, the direct way's end and the pieces' ends.</summary>
    public static TheoryData<string, int> Cases() => CasesOf("0", "00", "01", "001", "012", "0123", "0011", "0111", "01234", "00122");

    /// <summary>Also ranks of a process that do not follow each other, which only all-reduces take.</summary>
    public static TheoryData<string, int> CasesOfAllReduce() => [.. Cases(), .. CasesOf("0101", "01012"), ("01", 3_000_001), ("001", 1_000_003)];

    [Theory]
    [MemberData(nameof(CasesOfAllReduce))]
    public async Task AllReduce_GivesEveryProcessTheSumInRankOrder(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: length);
        var arrays = NumbersOf(ranks.Size, length);
        await ranks.Run(async group =>
        {
            var target = new float[length];
            await group.AllReduce(Key, group.OwnOf(arrays), Elements.OfFloat32(target), Token);
            Numbers.AssertSameBits(Numbers.Sum(ranks.Size, length), target);
        });
        Assert.All(arrays.Index(), rank => Numbers.AssertSameBits(Numbers.Of(rank.Index, length), rank.Item));
    }

    [Theory]
    [InlineData("0123", 1023)]
    [InlineData("0011", 1023)]
    [InlineData("0111", 200_003)]
    [InlineData("0101", 200_003)]
    [InlineData("0000", 200_003)]
    public async Task AllReduce_InPlaceOfAnyOwnRanksArray_LeavesTheOthersAsTheyWere(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: length);
        foreach (var place in (Index[])[0, ^1])
        {
            var arrays = NumbersOf(ranks.Size, length);
            await ranks.Run(group => group.AllReduce(Key, group.OwnOf(arrays), Elements.OfFloat32(arrays[group.Own[place.GetOffset(group.Own.Count)]]), Token));
            var targets = ranks.Groups.Select(group => group.Own[place.GetOffset(group.Own.Count)]).ToArray();
            Assert.All(arrays.Index(), rank => Numbers.AssertSameBits(targets.Contains(rank.Index) ? Numbers.Sum(ranks.Size, length) : Numbers.Of(rank.Index, length), rank.Item));
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("0000")]
    public async Task GroupOfOneProcess_SendsNothing_AndIsDoneWhenTheCallReturns(string layout)
    {
        const int Length = 100_003;
        await using var ranks = Ranks.Of(layout);
        var (group, size) = (ranks[0], ranks.Size);
        var (arrays, target, whole) = (NumbersOf(size, Length), new float[Length], new float[Length]);
        foreach (var operation in (Func<Task>[])
        [
            () => group.AllReduce(Key, group.OwnOf(arrays), Elements.OfFloat32(target), Token),
            () => group.ReduceScatter(Key, group.OwnOf(arrays), Elements.OfFloat32(target), counts: null, Token),
            () => group.AllGather(Key, Elements.OfFloat32(target), Elements.OfFloat32(whole), counts: null, Token),
            () => group.Broadcast(Key, 0, Elements.OfFloat32(whole), Token),
        ])
        {
            Assert.True(operation().IsCompletedSuccessfully);
            Numbers.AssertSameBits(Numbers.Sum(size, Length), target);
        }

        Numbers.AssertSameBits(target, whole);
        Assert.Equal(0, group.SentBytes + group.ReceivedBytes);
        Assert.True(group.AllReduce(Key, group.OwnOf(arrays), Elements.OfFloat32(target), new CancellationToken(canceled: true)).IsCanceled);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task ReduceScatter_GivesEachProcessItsPartsOfTheSum_AndAllGatherTheWhole(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout, shuffle: length);
        var (counts, arrays, expected) = (Parts.Even(length, ranks.Size).Counts, NumbersOf(ranks.Size, length), Numbers.Sum(ranks.Size, length));
        await ranks.Run(async group =>
        {
            var (part, whole) = (new float[group.Own.Sum(rank => counts[rank])], new float[length]);
            await group.ReduceScatter(Key, group.OwnOf(arrays), Elements.OfFloat32(part), counts: null, Token);
            Numbers.AssertSameBits(expected.AsSpan(counts.Take(group.Own[0]).Sum(), part.Length), part);
            await group.AllGather(Key with { Tag = 5 }, Elements.OfFloat32(part), Elements.OfFloat32(whole), counts: null, Token);
            Numbers.AssertSameBits(expected, whole);
        });
        Assert.All(arrays.Index(), rank => Numbers.AssertSameBits(Numbers.Of(rank.Index, length), rank.Item));
    }

    [Theory]
    [InlineData("0", 10)]
    [InlineData("01", 0)]
    [InlineData("0112", 100_001)]
    [InlineData("0101", 100_001)]
    public async Task Broadcast_GivesEveryProcessTheRootsArray(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout);
        for (var root = 0; root < ranks.Size; root++)
        {
            await ranks.Run(async group =>
            {
                var array = group.Own.Contains(root) ? Numbers.Of(root, length) : new float[length];
                await group.Broadcast(Key with { Tag = root }, root, Elements.OfFloat32(array), Token);
                Numbers.AssertSameBits(Numbers.Of(root, length), array);
            });
        }
    }

    [Theory]
    [InlineData("012")]
    [InlineData("001")]
    [InlineData("011")]
    [InlineData("000")]
    public async Task Parts_MayBeOfAnyLengths_AndLieInTheWholesThemselves(string layout)
    {
        await using var ranks = Ranks.Of(layout);
        int[] counts = [70_000, 0, 130_003];
        await ranks.Run(async group =>
        {
            var arrays = NumbersOf(3, 200_003);
            var whole = Elements.OfFloat32(arrays[group.Own[^1]]);
            var part = whole.Slice(counts.Take(group.Own[0]).Sum(), group.Own.Sum(rank => counts[rank]));
            await group.ReduceScatter(Key, group.OwnOf(arrays), part, counts, Token);
            await group.AllGather(Key with { Tag = 5 }, part, whole, counts, Token);
            Numbers.AssertSameBits(Numbers.Sum(3, 200_003), arrays[group.Own[^1]]);
        });
    }

    [Fact]
    public async Task SmallArrays_GoInOneExchange()
    {
        await using var ranks = Ranks.Of("012");
        int[] lengths = [3, 0, 70, 1];
        await ranks.Run(async group =>
        {
            var arrays = lengths.Select(length => Numbers.Of(group.Own[0], length)).ToArray();
            await group.AllReduceGrouped(Key, [.. arrays.Select(array => Elements.OfFloat32(array))], Token);
            Assert.All(lengths.Zip(arrays), pair => Numbers.AssertSameBits(Numbers.Sum(3, pair.First), pair.Second));
            await group.BroadcastGrouped(Key with { Tag = 9 }, 2, [.. arrays.Select(array => Elements.OfFloat32(array))], Token);
            Assert.Equal(2 * 74 * 4 + (group.Own is [2] ? 2 * 74 * 4 : 0), group.SentBytes);
        });
    }

    [Fact]
    public async Task Operations_WithDifferentKeys_MayBeUnderWayAtOnce()
    {
        await using var ranks = Ranks.Of("0121", shuffle: 1);
        await ranks.Run(async group =>
        {
            var arrays = Enumerable.Range(0, 20).Select(i => NumbersOf(ranks.Size, 10_000 * i)).ToArray();
            // Each process begins them in an order of its own.
            await Task.WhenAll(arrays.Index().OrderBy(pair => (pair.Index + (7 * group.Own[0])) % 20)
                .Select(pair => group.AllReduce(new CollectiveKey(8, pair.Index), group.OwnOf(pair.Item), Elements.OfFloat32(pair.Item[group.Own[0]]), Token)));
            Assert.All(arrays, array => Numbers.AssertSameBits(Numbers.Sum(4, array[0].Length), array[group.Own[0]]));
        });
    }

    // Lengths of equal parts in every segment: then the formula is exact.
    [Theory]
    [InlineData("01", 100)]
    [InlineData("01", 1_000_000)]
    [InlineData("012", 100)]
    [InlineData("012", 999_999)]
    [InlineData("00112", 100)]
    [InlineData("00112", 999_999)]
    [InlineData("0111", 1_000_000)]
    [InlineData("0101", 8_192)]
    public async Task Bytes_AreThoseOfTheFormula(string layout, int length)
    {
        await using var ranks = Ranks.Of(layout);
        var (size, processes, bytes) = (ranks.Size, ranks.Groups.Count, 4L * length);
        var part = bytes / processes;
        await ranks.Run(async group =>
        {
            await group.AllReduce(Key, [.. group.Own.Select(_ => Elements.OfFloat32(new float[length]))], Elements.OfFloat32(new float[length]), Token);
            var own = group.Own.Count;
            var direct = length is 100 or 8_192;
            Assert.Equal(direct ? own * (processes - 1) * bytes : (own * (bytes - part)) + ((processes - 1) * part), group.SentBytes);
            Assert.Equal(direct ? (size - own) * bytes : ((size - own) * part) + bytes - part, group.ReceivedBytes);
        });
    }

    [Theory]
    [InlineData("012")]
    [InlineData("001")]
    public async Task Bytes_OfReduceScatterAndAllGather_AreThoseOfTheFormula(string layout)
    {
        await using var ranks = Ranks.Of(layout);
        int[] counts = [100_000, 1, 200_000];
        await ranks.Run(async group =>
        {
            var (whole, part, own) = (new float[300_001], new float[group.Own.Sum(rank => counts[rank])], group.Own.Count);
            await group.ReduceScatter(Key, [.. group.Own.Select(_ => Elements.OfFloat32(whole))], Elements.OfFloat32(part), counts, Token);
            var (sent, received) = (own * (300_001 - part.Length) * 4, (3 - own) * part.Length * 4);
            Assert.Equal((sent, received), (group.SentBytes, group.ReceivedBytes));
            await group.AllGather(Key with { Tag = 5 }, Elements.OfFloat32(part), Elements.OfFloat32(whole), counts, Token);
            Assert.Equal((sent + ((ranks.Groups.Count - 1) * part.Length * 4), received + ((300_001 - part.Length) * 4)), (group.SentBytes, group.ReceivedBytes));
        });
    }

    [Fact]
    public async Task Arrays_ThatDoNotFitTogether_AreRefused()
    {
        await using var ranks = Ranks.Of("0");
        await using var two = Ranks.Of("00");
        var three = Elements.OfFloat32(new float[3]);
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduce(Key, [three], Elements.OfFloat32(new float[4]), Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduce(Key, [three], Elements.OfBFloat16(new ushort[3]), Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].ReduceScatter(Key, [three], three, [2], Token));
        await Assert.ThrowsAsync<ArgumentException>(() => ranks[0].AllReduceGrouped(Key, [three, Elements.OfBFloat16(new ushort[3])], Token));
        await Assert.ThrowsAsync<ArgumentException>(() => two[0].AllReduce(Key, three, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => two[0].AllReduce(Key, [three, Elements.OfFloat32(new float[4])], three, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => two[0].ReduceScatter(Key, [], three, counts: null, Token));
    }

    [Fact]
    public async Task PartsOfRanks_ThatDoNotFollowEachOtherInAProcess_AreRefusedByAll()
    {
        await using var ranks = Ranks.Of("0102");
        Elements one = Elements.OfFloat32(new float[1]), four = Elements.OfFloat32(new float[4]);
        foreach (var group in ranks.Groups)
        {
            var target = Elements.OfFloat32(new float[group.Own.Count]);
            var refusals = new[]
            {
                await Assert.ThrowsAsync<ArgumentException>(() => group.ReduceScatter(Key, [.. group.Own.Select(_ => four)], target, counts: null, Token)),
                await Assert.ThrowsAsync<ArgumentException>(() => group.AllGather(Key, target, four, counts: null, Token)),
            };
            Assert.All(refusals, refusal => Assert.Contains("[0, 2]", refusal.Message, StringComparison.Ordinal));
        }
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static float[][] NumbersOf(int ranks, int length) => [.. Enumerable.Range(0, ranks).Select(rank => Numbers.Of(rank, length))];

    private static TheoryData<string, int> CasesOf(params string[] layouts)
    {
        var cases = new TheoryData<string, int>();
        foreach (var layout in layouts)
        {
            foreach (var length in (int[])[0, 1, 3, 5, 1023, 8191, 200_003])
            {
                cases.Add(layout, length);
            }
        }

        return cases;
    }
}
