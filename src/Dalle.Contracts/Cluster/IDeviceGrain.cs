using Dalle.Contracts.Training;
using Orleans.Concurrency;

namespace Dalle.Contracts.Cluster;

/// <summary>A silo's device. The key is the silo's address, as <c>SiloAddress.ToParsableString()</c> writes it.</summary>
public interface IDeviceGrain : IGrainWithStringKey
{
    /// <summary>What the device is and what it does at present.</summary>
    [ReadOnly]
    Task<DeviceStatus> GetStatus(CancellationToken cancellationToken = default);
}

/// <summary>A device at one moment.</summary>
/// <param name="Device">libtorch's name of it: <c>cpu</c>, <c>cuda:0</c>.</param>
/// <param name="Threads">libtorch threads of work that does not bring its own count.</param>
/// <param name="Stages">The stages of training jobs that run on it.</param>
/// <param name="BytesInFlight">Bytes of gradients and parameters on their way to other silos.</param>
/// <param name="Requests">Requests for pictures that are drawn on it or wait to be.</param>
[GenerateSerializer, Immutable, Alias("DeviceStatus")]
public sealed record DeviceStatus(
    [property: Id(0)] string Device, [property: Id(1)] int Threads, [property: Id(2)] IReadOnlyList<RunningStage> Stages, [property: Id(3)] long BytesInFlight = 0,
    [property: Id(4)] int Requests = 0);

/// <summary>A stage that runs.</summary>
/// <param name="Job">The job.</param>
/// <param name="Stage">Its stage.</param>
/// <param name="Epoch">The job's membership epoch.</param>
/// <param name="Workers">The workers that are here, such as <c>0-1/0</c>: replicas, ordinals.</param>
[GenerateSerializer, Immutable, Alias("RunningStage")]
public sealed record RunningStage([property: Id(0)] string Job, [property: Id(1)] TrainingStage Stage, [property: Id(2)] long Epoch, [property: Id(3)] string Workers);

/// <summary>An active silo of the cluster.</summary>
/// <param name="Address">Where the others reach it, as <c>address:port</c>.</param>
/// <param name="Device">Its device; null if it did not answer in time.</param>
[GenerateSerializer, Immutable, Alias("SiloReport")]
public sealed record SiloReport([property: Id(0)] string Address, [property: Id(1)] DeviceStatus? Device);
