using Dalle.Data.Randomness;

namespace Dalle.Data.Tests.Randomness;

public sealed class KeyedRandomTests
{
    [Fact]
    public void NextUInt64_OfKeyZero_IsSplitMix64()
    {
        // The published first outputs of SplitMix64 for seed 0.
        var random = new KeyedRandom(0);
        Assert.Equal(0xE220A8397B1DCDAFUL, random.NextUInt64());
        Assert.Equal(0x6E789E6AA1B965F4UL, random.NextUInt64());
        Assert.Equal(0x06C45D188009454FUL, random.NextUInt64());
    }

    [Fact]
    public void Key_OfPermutedOrShortenedWords_Differs()
    {
        ulong[] keys = [KeyedRandom.Key(1, 2), KeyedRandom.Key(2, 1), KeyedRandom.Key(1), KeyedRandom.Key(1, 2, 0), KeyedRandom.Key(0, 1, 2)];
        Assert.Equal(keys.Length, keys.Distinct().Count());
    }

    [Fact]
    public void NextInt_OverManyDraws_CoversTheRangeEvenly()
    {
        var random = new KeyedRandom(7);
        var counts = new int[10];
        for (var i = 0; i < 100_000; i++)
        {
            counts[random.NextInt(-3, 6) + 3]++;
        }

        Assert.All(counts, count => Assert.InRange(count, 9_600, 10_400));
    }
}
