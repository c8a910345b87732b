using Dalle.Workers.Devices;
using TorchSharp;

namespace Dalle.Workers.Tests.Devices;

/// <summary>On machines without a graphics card, as the project's own are.</summary>
public sealed class DeviceSelectionTests
{
    [Theory]
    [InlineData("cpu")]
    [InlineData("auto")]
    public void Of_ANameTheMachineHas_IsTheProcessor(string name) => Assert.Equal(DeviceType.CPU, DeviceSelection.Of(name).type);

    [Theory]
    [InlineData("cuda")]
    [InlineData("cuda:3")]
    public void Of_AGraphicsCardThatIsNotThere_SaysWhatWasFound(string name)
    {
        var error = Assert.Throws<InvalidOperationException>(() => DeviceSelection.Of(name));

        Assert.StartsWith($"WorkerOptions.Device: expected a device that libtorch finds, got '{name}'; it finds 0 graphics cards.", error.Message, StringComparison.Ordinal);
    }
}
