using Dalle.Model.Sampling;
using TorchSharp;

namespace Dalle.Model.Tests.Sampling;

public sealed class SamplerTests : IDisposable
{
    private static readonly SequenceRequest[] Mixed =
    [
        new([1, 2, 3], Seed: 1, Candidate: 0, new()),
        new([1, 2, 3], Seed: 1, Candidate: 1, new(Temperature: 0.7)),
        new([9], Seed: 2, Candidate: 0, new(TopK: 5)),
        new([1, 2, 3], Seed: 3, Candidate: 0, new(Guidance: 2.5)),
        new([], Seed: 1, Candidate: 0, new(TopP: 0.8, Guidance: 0.5)),
        new([4, 4, 4, 4, 4], Seed: 5, Candidate: 7, new()) { GivenTokens = [3, 1, 2, 0, 39, 38] },
    ];

    private readonly TestPrior _prior = new();

    public void Dispose() => _prior.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Step_DifferentRequestsTogether_SamplesWhatEachGivesUncached(bool packed)
    {
        using var sampler = NewSampler(packed);

        var tokens = Run(sampler, Mixed);

        for (var i = 0; i < Mixed.Length; i++)
        {
            Assert.Equal(_prior.SampleUncached(Mixed[i]), tokens[i]);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Step_OneRequestAlone_SamplesTheSameAsInABatch(bool packed)
    {
        using var sampler = NewSampler(packed);
        var together = Run(sampler, Mixed);

        for (var i = 0; i < Mixed.Length; i++)
        {
            Assert.Equal(together[i], Run(sampler, Mixed[i])[0]);
        }
    }

    [Fact]
    public void Step_GivenTheTokensSoFar_GoesOnWithTheSamePicture()
    {
        using var sampler = NewSampler(packed: true);
        var whole = Run(sampler, Mixed[3])[0];

        Assert.Equal(whole, Run(sampler, Mixed[3] with { GivenTokens = whole[..7] })[0]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Drop_AmongOthers_LeavesTheOthersAsTheyWere(bool packed)
    {
        using var sampler = NewSampler(packed);
        var whole = Run(sampler, Mixed);

        using var run = sampler.Start(Mixed);
        while (run.Step())
        {
            if (run.Position == 5)
            {
                run.Drop(0);
                run.Drop(3);
            }
        }

        Assert.All([1, 2, 4, 5], sequence => Assert.Equal(whole[sequence], run.Tokens(sequence).ToArray()));
    }

    [Fact]
    public void Step_AllDropped_HasNothingToDo()
    {
        using var sampler = NewSampler(packed: true);
        using var run = sampler.Start([Mixed[0]]);

        Assert.True(run.Step());
        run.Drop(0);

        Assert.False(run.Step());
        Assert.Equal(1, run.Position);
    }

    [Fact]
    public void Step_UntilDone_ReportsEveryPosition()
    {
        using var sampler = NewSampler(packed: true);
        using var run = sampler.Start([Mixed[0]]);
        var positions = new List<int>();
        while (run.Step())
        {
            positions.Add(run.Position);
        }

        Assert.Equal(Enumerable.Range(1, _prior.Config.ImageLength), positions);
        Assert.Equal(run.Length, run.Tokens(0).Length);
    }

    [Fact]
    public void Start_TextTokenOutsideTheVocabulary_IsRefused()
    {
        using var sampler = NewSampler(packed: true);

        Assert.Contains("request 1", Assert.Throws<ArgumentException>(() => sampler.Start([Mixed[0], new([11], 0, 0, new())])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => sampler.Start([new([-1], 0, 0, new())]));
        Assert.Throws<ArgumentException>(() => sampler.Start([new([1, 1, 1, 1, 1, 1], 0, 0, new())]));
        Assert.Throws<ArgumentException>(() => sampler.Start([new([1], 0, 0, new()) { GivenTokens = [40] }]));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.Start([new([1], 0, 0, new(Temperature: 0))]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Dispose_AfterARun_LeavesNoTensors(bool packed)
    {
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        using (var sampler = NewSampler(packed))
        {
            Run(sampler, Mixed);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Step_Packed_AllocatesNothing()
    {
        using var sampler = NewSampler(packed: true);
        Run(sampler, Mixed);
        using var run = sampler.Start(Mixed);
        run.Step();
        run.Step();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var steps = 0;

        while (run.Step())
        {
            steps++;
        }

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / steps, 0, 64);
    }

    private static int[][] Run(Sampler sampler, params SequenceRequest[] requests)
    {
        using var run = sampler.Start(requests);
        while (run.Step())
        {
        }

        return [.. Enumerable.Range(0, run.Sequences).Select(sequence => run.Tokens(sequence).ToArray())];
    }

    private Sampler NewSampler(bool packed) => new(
        _prior.Config, packed ? new PackedDecoder(_prior.Config, _prior.Parameters, threads: 2) : new TorchDecoder(_prior.Config, _prior.Parameters));
}
