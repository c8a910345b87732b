using Dalle.Data.Batches;

namespace Dalle.Data.Tests.Batches;

public sealed class SampleOrderTests
{
    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(16), InlineData(17), InlineData(1000), InlineData(1023), InlineData(1025), InlineData(70_000)]
    public void At_OverOnePass_GivesEachSampleOnce(int count)
    {
        for (var pass = 0; pass < 3; pass++)
        {
            Assert.Equal(Enumerable.Range(0, count), Enumerable.Range(0, count).Select(position => SampleOrder.At(7, pass, position, count)).Order());
        }
    }

    [Fact]
    public void Fill_BatchesThatDoNotDivideThePass_StillUseEachSampleOncePerPass()
    {
        const int Count = 10;
        var used = Enumerable.Range(0, 20).SelectMany(step => Batch(seed: 3, step, Count, size: 4)).ToArray();

        Assert.All(used.Chunk(Count), pass => Assert.Equal(Enumerable.Range(0, Count), pass.Order()));
        Assert.Equal(8, used.Chunk(Count).Select(pass => string.Join(',', pass)).Distinct().Count());
    }

    [Fact]
    public void Fill_IsAPureFunctionOfSeedAndStep()
    {
        var straight = Enumerable.Range(0, 50).Select(step => Batch(9, step, 100, 8)).ToArray();
        var backwards = Enumerable.Range(0, 50).Reverse().Select(step => Batch(9, step, 100, 8)).Reverse().ToArray();

        Assert.Equal(straight, backwards);
        Assert.NotEqual(straight[0], Batch(10, 0, 100, 8));
    }

    [Fact]
    public void Fill_BatchLargerThanThePass_GoesRoundAgain() => Assert.Equal([0, 0, 0], Batch(1, 5, count: 1, size: 3));

    [Fact]
    public void Fill_AfterTheLastStepOfAnInt_DoesNotOverflow() => Assert.All(Batch(1, int.MaxValue, 1000, 512), sample => Assert.InRange(sample, 0, 999));

    [Fact]
    public void Order_IsTheSameOnEveryMachine() => Assert.Equal("0 6 7 5 2 1 8 3 9 4", string.Join(' ', Batch(1, 0, 10, 10)));

    /// <summary>Every sample comes at every place equally often: chi-square over many passes, against its mean plus four standard deviations.</summary>
    [Theory]
    [InlineData(3), InlineData(5), InlineData(12), InlineData(30), InlineData(100)]
    public void At_OverManyPasses_PutsEverySampleEverywhereEquallyOften(int count)
    {
        const int PerCell = 100;
        var seen = new int[count * count];
        for (var pass = 0; pass < PerCell * count; pass++)
        {
            for (var position = 0; position < count; position++)
            {
                seen[(position * count) + SampleOrder.At(5, pass, position, count)]++;
            }
        }

        AssertUniform(seen, PerCell, degrees: (count - 1) * (count - 1));
    }

    /// <summary>Neighbours are independent: every ordered pair of samples follows each other equally often.</summary>
    [Theory]
    [InlineData(3), InlineData(5), InlineData(12), InlineData(30)]
    public void At_OverManyPasses_PutsEveryPairTogetherEquallyOften(int count)
    {
        const int PerCell = 100;
        var seen = new int[count * count];
        for (var pass = 0; pass < PerCell * count * (count - 1); pass++)
        {
            seen[(SampleOrder.At(11, pass, 0, count) * count) + SampleOrder.At(11, pass, 1, count)]++;
        }

        var pairs = seen.Where((_, cell) => cell / count != cell % count).ToArray();
        Assert.Equal(0, seen.Sum() - pairs.Sum());
        AssertUniform(pairs, PerCell, degrees: pairs.Length - 1);
    }

    private static int[] Batch(ulong seed, int step, int count, int size)
    {
        var batch = new int[size];
        SampleOrder.Fill(seed, step, count, batch);
        return batch;
    }

    private static void AssertUniform(int[] seen, double expected, int degrees)
    {
        var chiSquare = seen.Sum(cell => (cell - expected) * (cell - expected) / expected);
        Assert.InRange(chiSquare, degrees - (4 * Math.Sqrt(2 * degrees)) - 4, degrees + (4 * Math.Sqrt(2 * degrees)) + 4);
    }
}
