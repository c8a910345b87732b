using Dalle.Contracts.Training;
using Dalle.Model.Presets;
using Dalle.Model.Training;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

public sealed class TrainingMemoryTests
{
    [Theory]
    [InlineData(1, 5)]
    [InlineData(8, 12)]
    public void Need_IsTheNetworksParameters_FourTimes_AndOnceForEachThread(int threads, int times)
    {
        var optimizer = Preset.Dalle12B.PriorTraining.Optimizer with { Moments = MomentFormat.Float32 };
        var plain = Preset.Dalle12B with { PriorTraining = Preset.Dalle12B.PriorTraining with { Optimizer = optimizer } };

        Assert.Equal(12_292_808_448.0 * sizeof(float) * times, TrainingMemory.Need(plain, TrainingStage.Prior, threads));
    }

    /// <summary>64 layers have 12 matrices' worth of 3968 x 3968 each, and two moments of them.</summary>
    [Fact]
    public void Need_CountsTwoBytesForAMomentOf16Bits() =>
        Assert.Equal((12_292_808_448.0 * sizeof(float) * 5) - (2 * 2 * 64 * 12 * 3968.0 * 3968.0), TrainingMemory.Need(Preset.Dalle12B, TrainingStage.Prior, threads: 1));

    // An eighth of what is held, and whole the arrays outside of resblocks with one layer, with a gradient.
    [Fact]
    public void Need_OfASiloWithOneOfEightShards_HasTwoResblocksWhole()
    {
        const double Count = 12_292_808_448, Matrices = 12 * 3968.0 * 3968, Layer = Matrices + (13 * 3968.0);
        var held = ((5 * sizeof(float) * Count) - (2 * 2 * 64 * Matrices)) / 8;

        Assert.Equal(held + ((Count - (63 * Layer)) * 2 * sizeof(float)), TrainingMemory.Need(Preset.Dalle12B, TrainingStage.Prior, threads: 1, shards: 8, ordinals: 1), 1.0);
    }

    [Fact]
    public void Require_RefusesTheFirstByteThatIsMissing()
    {
        var need = (long)TrainingMemory.Need(Preset.Test, TrainingStage.DiscreteVae, threads: 2);

        TrainingMemory.Require(Preset.Test, TrainingStage.DiscreteVae, threads: 2, shards: 1, ordinals: 1, need);

        var error = Assert.Throws<InvalidDataException>(() => TrainingMemory.Require(Preset.Test, TrainingStage.DiscreteVae, threads: 2, shards: 1, ordinals: 1, need - 1));
        Assert.Contains("1 of 1 shards", error.Message, StringComparison.Ordinal);
    }
}
