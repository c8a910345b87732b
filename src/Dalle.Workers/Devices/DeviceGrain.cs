using Dalle.Contracts.Cluster;
using Dalle.Workers.Generation;
using Dalle.Workers.Shards;
using Dalle.Workers.Training;
using Orleans.Concurrency;

namespace Dalle.Workers.Devices;

/// <inheritdoc cref="IDeviceGrain"/>
[Reentrant, SiloPlacement]
internal sealed class DeviceGrain(DeviceThread device, WorkerDrain workers, JobShardDirectory shards, GenerationEngine engine) : Grain, IDeviceGrain
{
    public Task<DeviceStatus> GetStatus(CancellationToken cancellationToken = default) =>
        Task.FromResult(new DeviceStatus(device.Device.ToString(), device.Threads, workers.Running, shards.BytesInFlight, engine.Waiting + engine.Status.Running));
}
