using Dalle.Contracts.Cluster;

namespace Dalle.Grains.Tests.Cluster;

/// <summary>A device with nothing to do.</summary>
[SiloPlacement]
public sealed class ScriptedDeviceGrain : Grain, IDeviceGrain
{
    public Task<DeviceStatus> GetStatus(CancellationToken cancellationToken = default) => Task.FromResult(new DeviceStatus("cpu", 1, []));
}
