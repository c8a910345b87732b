using Dalle.Model.Presets;
using Dalle.Workers.Training;

namespace Dalle.Workers.Tests.Training;

public sealed class TrainingMemoryTests
{
    [Theory]
    [InlineData(1, 5)]
    [InlineData(8, 12)]
    public void Need_IsTheLargerNetworksParameters_FourTimes_AndOnceForEachThread(int threads, int times) =>
        Assert.Equal(12_292_808_448.0 * sizeof(float) * times, TrainingMemory.Need(Preset.Dalle12B, threads));

    [Fact]
    public void Require_RefusesTheFirstByteThatIsMissing()
    {
        var need = (long)TrainingMemory.Need(Preset.Test, threads: 2);

        TrainingMemory.Require(Preset.Test, threads: 2, need);

        Assert.Throws<InvalidDataException>(() => TrainingMemory.Require(Preset.Test, threads: 2, need - 1));
    }
}
