using Dalle.Model.Parameters;
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
    public void Step_RequestsThatComeAndGoAtAnyTime_SamplesWhatEachGivesAlone(bool packed)
    {
        using var sampler = NewSampler(packed, slots: 4);
        var alone = Mixed.Select(request => sampler.SampleAll([request])[0]).ToArray();
        var random = new Random(11);
        var running = new List<(int Index, SampledSequence Sequence)>();
        var whole = 0;

        // Pictures that are left early make room at every position, and are begun again.
        for (var begun = 0; whole < 60;)
        {
            if (random.Next(3) == 0 && sampler.TryAdmit(Mixed[begun % Mixed.Length]) is { } sequence)
            {
                running.Add((begun++ % Mixed.Length, sequence));
            }

            sampler.Step();
            foreach (var entry in running.Where(entry => entry.Sequence.IsWhole || random.Next(60) == 0).ToArray())
            {
                Assert.Equal(alone[entry.Index][..entry.Sequence.Position], entry.Sequence.Tokens.ToArray());
                whole += entry.Sequence.IsWhole ? 1 : 0;
                entry.Sequence.Dispose();
                running.Remove(entry);
            }
        }

        running.ForEach(entry => entry.Sequence.Dispose());
        Assert.Equal(4, sampler.FreeSlots);
        Assert.False(sampler.Step());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Step_SomeTokensGiven_ForcesThemAndSamplesTheRest(bool packed)
    {
        using var sampler = NewSampler(packed);
        int[] given = [SequenceRequest.Free, 7, 8, SequenceRequest.Free, SequenceRequest.Free, 3, SequenceRequest.Free, SequenceRequest.Free, 39];
        var request = Mixed[3] with { GivenTokens = given };

        var tokens = sampler.SampleAll([request])[0];

        Assert.Equal(_prior.SampleUncached(request), tokens);
        Assert.All(given.Index().Where(entry => entry.Item != SequenceRequest.Free), entry => Assert.Equal(entry.Item, tokens[entry.Index]));
    }

    [Fact]
    public void TryAdmit_NoSlotFree_TakesNothing()
    {
        using var sampler = NewSampler(packed: true, slots: 3);
        using var guided = sampler.TryAdmit(Mixed[3]);
        Assert.Equal(1, sampler.FreeSlots);

        Assert.Null(sampler.TryAdmit(Mixed[4]));
        using var plain = sampler.TryAdmit(Mixed[0]);
        Assert.NotNull(plain);
        Assert.Null(sampler.TryAdmit(Mixed[1]));

        guided!.Dispose();
        guided.Dispose();
        Assert.Equal(2, sampler.FreeSlots);
    }

    [Fact]
    public void TryAdmit_PromptThatWasReadBefore_IsNotReadAgain()
    {
        var decoder = new CountingDecoder(PackedDecoder.Create(_prior.Config, _prior.Parameters, new(Slots: 4, IdlePrompts: 1), threads: 1));
        using var sampler = new Sampler(_prior.Config, decoder, new(Slots: 4, IdlePrompts: 1));

        sampler.SampleAll([Mixed[0], Mixed[1], Mixed[0] with { Candidate = 9 }]);
        Assert.Equal(_prior.Config.TextLength, decoder.TextRows);
        Assert.Equal((2, 1), (sampler.PromptHits, sampler.PromptMisses));

        sampler.SampleAll([Mixed[0]]);
        Assert.Equal(_prior.Config.TextLength, decoder.TextRows);

        // Five places, six captions: the first is gone by then.
        var before = sampler.SampleAll([Mixed[0]])[0];
        sampler.SampleAll([.. Enumerable.Range(0, 5).Select(token => new SequenceRequest([token], 1, 0, new()))]);
        Assert.Equal(6 * _prior.Config.TextLength, decoder.TextRows);
        Assert.Equal(before, sampler.SampleAll([Mixed[0]])[0]);
        Assert.Equal(7 * _prior.Config.TextLength, decoder.TextRows);
    }

    [Fact]
    public void Dispose_InTheMiddleOfItsPrompt_HasTheNextOneReadItWhole()
    {
        using var prior = new TestPrior(text: 50);
        using var sampler = new Sampler(prior.Config, PackedDecoder.Create(prior.Config, prior.Parameters, new(Slots: 3), threads: 1), new(Slots: 3));
        var expected = sampler.SampleAll([Mixed[2]])[0];
        sampler.SampleAll([.. Enumerable.Range(0, 40).Select(i => new SequenceRequest([i % 11, i / 11], 0, 0, new()))]);

        using var running = sampler.TryAdmit(Mixed[0])!;
        while (running.Position < 3)
        {
            sampler.Step();
        }

        var left = sampler.TryAdmit(Mixed[2])!;
        sampler.Step();
        Assert.Equal(0, left.Position);
        left.Dispose();
        using var again = sampler.TryAdmit(Mixed[2])!;
        while (!again.IsWhole)
        {
            sampler.Step();
        }

        Assert.Equal(expected, again.Tokens.ToArray());
    }

    [Fact]
    public void TryAdmit_WhatDoesNotFitThePrior_IsRefused()
    {
        using var sampler = NewSampler(packed: true);

        Assert.Contains("0 to 10", Assert.Throws<ArgumentException>(() => sampler.TryAdmit(new([11], 0, 0, new()))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => sampler.TryAdmit(new([-1], 0, 0, new())));
        Assert.Throws<ArgumentException>(() => sampler.TryAdmit(new([1, 1, 1, 1, 1, 1], 0, 0, new())));
        Assert.Throws<ArgumentException>(() => sampler.TryAdmit(new([1], 0, 0, new()) { GivenTokens = [40] }));
        Assert.Throws<ArgumentException>(() => sampler.TryAdmit(new([1], 0, 0, new()) { GivenTokens = [-2] }));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.TryAdmit(new([1], 0, 0, new(Temperature: 0))));
        Assert.Throws<ArgumentException>(() => NewSampler(packed: true, slots: 1).SampleAll([Mixed[3]]));
        Assert.Equal(sampler.Slots, sampler.FreeSlots);
    }

    [Fact]
    public void Capacity_WithinSomeBytes_TakesNoMore()
    {
        var (slot, prompt) = (SamplerCapacity.SlotBytes(_prior.Config, Precision.Float32), SamplerCapacity.PromptBytes(_prior.Config, Precision.Float32));

        Assert.Equal(new SamplerCapacity(5, 1), new SamplerCapacity().Within(_prior.Config, Precision.Float32, (5 * (slot + prompt)) + prompt));
        Assert.Equal(new SamplerCapacity(64, 32), new SamplerCapacity().Within(_prior.Config, Precision.Float32, long.MaxValue));
        Assert.Throws<ArgumentException>(() => new SamplerCapacity().Within(_prior.Config, Precision.Float32, slot + prompt));

        // In blocks of 16: four row layers of 5 positions, a column layer of 4 columns, a convolution of 6 positions; captions of 5 fill one in each layer.
        Assert.Equal((4 + 4 + 1) * 2L * 16 * 32 * 4, slot);
        Assert.Equal(6 * 2L * 16 * 32 * 4, prompt);
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
        sampler.SampleAll(Mixed);
        var sequences = Mixed.Select(request => sampler.TryAdmit(request)!).ToArray();
        sampler.Step();
        sampler.Step();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var steps = 0;
        for (; !sequences[0].IsWhole; steps++)
        {
            sampler.Step();
        }

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / steps, 0, 64);
    }

    private static int[][] Run(Sampler sampler, params SequenceRequest[] requests) => sampler.SampleAll(requests);

    private Sampler NewSampler(bool packed, int slots = 16)
    {
        var capacity = new SamplerCapacity(slots);
        return new(_prior.Config, packed ? PackedDecoder.Create(_prior.Config, _prior.Parameters, capacity, threads: 2) : new TorchDecoder(_prior.Config, _prior.Parameters, capacity), capacity);
    }

    /// <summary>Counts the text positions that were read.</summary>
    private sealed class CountingDecoder(IDecoder decoder) : IDecoder
    {
        public int TextRows { get; private set; }

        public int TextRowsPerStep => decoder.TextRowsPerStep;

        public void Step(ReadOnlySpan<DecodeRow> rows)
        {
            foreach (var row in rows)
            {
                TextRows += row.Slot < 0 ? 1 : 0;
            }

            decoder.Step(rows);
        }

        public ReadOnlySpan<float> Logits(int row) => decoder.Logits(row);

        public void Dispose() => decoder.Dispose();
    }
}
