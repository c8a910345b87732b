using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Tests.Hosting;

public sealed class WorkerOptionsTests
{
    [Fact]
    public void AddDalleWorkers_Defaults_MakesOneDeviceAndOneStore()
    {
        using var services = new ServiceCollection().AddDalleWorkers(options => options.ArtifactFolder = "here").BuildServiceProvider();
        Assert.Same(services.GetRequiredService<DeviceThread>(), services.GetRequiredService<DeviceThread>());
        Assert.EndsWith("here", services.GetRequiredService<ArtifactStore>().Root, StringComparison.Ordinal);
    }

    [Fact]
    public void AddDalleWorkers_BadOptions_NamesEachSetting()
    {
        using var services = new ServiceCollection().AddDalleWorkers(options => (options.ArtifactFolder, options.DeviceThreads) = ("", 0)).BuildServiceProvider();
        var error = Assert.Throws<OptionsValidationException>(services.GetRequiredService<DeviceThread>);
        Assert.Contains(error.Failures, f => f.Contains("ArtifactFolder", StringComparison.Ordinal));
        Assert.Contains(error.Failures, f => f.Contains("DeviceThreads", StringComparison.Ordinal));
    }
}
