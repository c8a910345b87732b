using Dalle.Model.Presets;
using Dalle.Model.Training;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

public sealed class TrainingMemoryTests
{
    [Theory]
    [InlineData(1, 5)]
    [InlineData(8, 12)]
    public void Need_IsTheLargerNetworksParameters_FourTimes_AndOnceForEachThread(int threads, int times)
    {
        var optimizer = Preset.Dalle12B.PriorTraining.Optimizer with { Moments = MomentFormat.Float32 };
        var plain = Preset.Dalle12B with { PriorTraining = Preset.Dalle12B.PriorTraining with { Optimizer = optimizer } };

        Assert.Equal(12_292_808_448.0 * sizeof(float) * times, TrainingMemory.Need(plain, threads));
    }

    /// <summary>64 layers have 12 matrices' worth of 3968 x 3968 each, and two moments of them.</summary>
    [Fact]
    public void Need_CountsTwoBytesForAMomentOf16Bits() =>
        Assert.Equal((12_292_808_448.0 * sizeof(float) * 5) - (2 * 2 * 64 * 12 * 3968.0 * 3968.0), TrainingMemory.Need(Preset.Dalle12B, threads: 1));

    [Fact]
    public void Require_RefusesTheFirstByteThatIsMissing()
    {
        var need = (long)TrainingMemory.Need(Preset.Test, threads: 2);

        TrainingMemory.Require(Preset.Test, threads: 2, need);

        Assert.Throws<InvalidDataException>(() => TrainingMemory.Require(Preset.Test, threads: 2, need - 1));
    }
}
