using Dalle.Model.Parameters;
using TorchSharp;

namespace Dalle.Model.Tests.Parameters;

public sealed class PrecisionTests
{
    [Fact]
    public void BFloat16_OnAProcessor_NeedsItsInstructions()
    {
        Assert.SkipUnless(File.Exists("/proc/cpuinfo"), "Only Linux lists the processor's instructions.");
        var listed = File.ReadLines("/proc/cpuinfo").Any(line => line.StartsWith("flags", StringComparison.Ordinal) && line.Split(' ').Contains("avx512_bf16"));

        Assert.Equal(listed ? Precision.BFloat16 : Precision.Float32, Precision.BFloat16.On(DeviceType.CPU));
    }

    [Fact]
    public void Float16_OnAProcessor_Is32Bit() => Assert.Equal(Precision.Float32, Precision.Float16.On(DeviceType.CPU));

    [Theory]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Float16)]
    public void SixteenBits_OnAGraphicsCard_StayAsTheyAre(Precision precision) => Assert.Equal(precision, precision.On(DeviceType.CUDA));

    [Fact]
    public void Float32_StaysAsItIsEverywhere() => Assert.All([DeviceType.CPU, DeviceType.CUDA], device => Assert.Equal(Precision.Float32, Precision.Float32.On(device)));
}
