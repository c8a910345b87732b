using Dalle.Model.Sampling;

namespace Dalle.Model.Tests.Sampling;

public sealed class ForkJoinTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Run_ManyTimes_CallsEveryPartOnceEachTime(int threads)
    {
        using var pool = new ForkJoin(threads);
        var calls = new int[pool.Parts];
        Action<int> work = part => calls[part]++;
        for (var round = 1; round <= 5000; round++)
        {
            pool.Run(work);
            Assert.All(calls, count => Assert.Equal(round, count));
        }
    }

    [Fact]
    public async Task Run_AfterItsThreadsFellAsleep_WakesThem()
    {
        using var pool = new ForkJoin(3);
        var calls = 0;
        for (var round = 0; round < 5; round++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
            pool.Run(_ => Interlocked.Increment(ref calls));
        }

        Assert.Equal(5 * pool.Parts, calls);
    }

    [Fact]
    public void Run_WorkThatFails_ThrowsOnceAndGoesOn()
    {
        using var pool = new ForkJoin(3);

        Assert.Throws<InvalidOperationException>(() => pool.Run(part => throw new InvalidOperationException($"{part}")));

        var calls = 0;
        pool.Run(_ => Interlocked.Increment(ref calls));
        Assert.Equal(pool.Parts, calls);
    }

    [Fact]
    public void Share_OfAnyCount_CoversItOnce()
    {
        using var pool = new ForkJoin(3);
        for (var count = 0; count < 20; count++)
        {
            var all = Enumerable.Range(0, pool.Parts).SelectMany(part =>
            {
                var (start, end) = pool.Share(count, part);
                return Enumerable.Range(start, end - start);
            });
            Assert.Equal(Enumerable.Range(0, count), all);
        }
    }
}
