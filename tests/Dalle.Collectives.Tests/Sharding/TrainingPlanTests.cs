using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Model.Presets;

namespace Dalle.Collectives.Tests.Sharding;

public sealed class TrainingPlanTests
{
    // The paper's table of compression ranks.
    [Theory]
    [InlineData("dalle-2.8b", 0.833)]
    [InlineData("dalle-5.6b", 0.851)]
    [InlineData("dalle-12b", 0.859)]
    public void PapersFormula_GivesThePapersTable_AndCountingComesNearIt(string preset, double saved)
    {
        var plan = new TrainingPlan(Preset.Find(preset), silos: 128, devices: 8);

        Assert.Equal(saved, plan.SavedByThePapersFormula, 5e-4);
        Assert.Equal(saved, plan.SavedBesideWholeGradients, 0.02);
    }

    // (7 + 9 / m) r / (12 d) with matrices of [3d, d], [d, d], [4d, d] and [d, 4d] split by rows.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(8)]
    public void Saving_CountedOverSlices_IsThatOfTheirShapes(int devices)
    {
        var plan = new TrainingPlan(Preset.Dalle12B, silos: 2, devices);

        Assert.Equal(1 - ((7 + (9.0 / devices)) * 896 / (12 * 3968)), plan.SavedBesideWholeGradients, 1e-9);
    }

    // Query, key and value apart, every matrix split along its longer side: 6 r d + 12 r d / m elements of factors beside 12 d^2 of gradients.
    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void PapersFormula_IsFactorsOfOneDevice_BesideGradientsOfAll(int devices) => Assert.Equal(
        1 - (896 * ((6.0 * 3968) + (12.0 * 3968 / devices)) / (12.0 * 3968 * 3968)), TrainingPlan.PapersFormula(896, 3968, devices), 1e-12);

    [Fact]
    public void Bytes_BetweenMachines_AreThoseOfTheBuffers()
    {
        var plan = new TrainingPlan(Preset.Tiny, silos: 4, devices: 2);

        Assert.Equal(2 * 3 * plan.Shards.Sum(shard => 4 * (shard.LeftCount + shard.RightCount)) / 4, plan.BytesSent);
        Assert.Equal(2 * 3 * 4 * (plan.Parameters + 2) / 4, plan.UncompressedBytesSent);
        Assert.Equal(1 - ((double)plan.BytesSent / plan.UncompressedBytesSent), plan.Saved, 1e-6);
        Assert.Equal(0, new TrainingPlan(Preset.Tiny, silos: 1, devices: 2).BytesSent);
    }

    // What eight row slices of the paper's model save at its rank: [1488, 3968] and [1984, 3968] do a little, [496, 3968] and [496, 15872] nothing.
    [Fact]
    public void Saving_OnTheWire_BesideTheSameShardsUncompressed_IsSmallAtThePapersRank()
    {
        var plan = new TrainingPlan(Preset.Dalle12B, silos: 2, devices: 8);

        var (layer, kept) = (12.0 * 3968 * 3968 / 8, 896.0 * (1488 + 3968 + 1984 + 3968));
        var spared = 64 * ((1488.0 * 3968) + (1984.0 * 3968) - kept);
        Assert.Equal(spared / (64 * layer), plan.Shards[0].SavedOfWeights, 1e-9);
        Assert.InRange(plan.Saved, 0.10, 0.20);
    }

    [Fact]
    public void Memory_OfADevice_IsCountedInBytes()
    {
        var memory = new TrainingPlan(Preset.Dalle12B, silos: 2, devices: 8).Memory;

        // A resblock's 8 d^2 in 16 bit, its gains and biases in 32 bit, are more than an unembedding of 16,384 d in 32 bit: 2 * 8 d > 4 * 16,384 from d = 4,096 on, so here it is the unembedding.
        Assert.Equal(2 * 16_384L * 3968 * 4, memory.Gathered);
        Assert.Equal(12_292_808_448 / 8 * 4, memory.Master);
        Assert.Equal(memory.Master, memory.Average);
        Assert.Equal(memory.Master + (memory.Gathered / 2), memory.Gradients);
        Assert.InRange(memory.Moments, memory.Master, memory.Master * 1.03);
        Assert.Equal(memory.Master + memory.Moments + memory.Average + memory.Gradients + memory.Error + memory.Compression + memory.Gathered, memory.Total);
    }

    [Fact]
    public void ErrorBuffer_InThePapers16Bits_TakesHalf()
    {
        var plan = new TrainingPlan(Preset.Dalle12B, silos: 2, devices: 8);
        var halved = new TrainingPlan(Preset.Dalle12B, silos: 2, devices: 8, errorFormat: ErrorFormat.Paper16).Memory;

        Assert.Equal(plan.Memory.Error, 2 * halved.Error);
        Assert.Equal(plan.Memory with { Error = halved.Error }, halved);
    }

    [Fact]
    public void Moments_OfAPresetThatKeepsThemIn32Bit_TakeTwiceTheParameters()
    {
        var memory = new TrainingPlan(Preset.Emoji, silos: 1, devices: 1).Memory;

        Assert.Equal(2 * memory.Master, memory.Moments);
    }

    [Fact]
    public void Plan_WithoutSilosOrDevices_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new TrainingPlan(Preset.Tiny, silos: 0, devices: 1));
        Assert.Throws<ArgumentException>(() => new TrainingPlan(Preset.Tiny, silos: 1, devices: 0));
        Assert.Throws<ArgumentException>(() => new TrainingPlan(Preset.Tiny, silos: 1, devices: 1, rank: -1));
    }
}
