using Orleans.Concurrency;

namespace Dalle.Contracts.Training;

/// <summary>The workers of a job on one silo, keyed by <see cref="JobSilo"/>: runs stages on the silo's device, the part of each worker that is there in turn.</summary>
public interface IWorkerGrain : IGrainWithStringKey
{
    /// <summary>Runs a stage to its end and reports. A run of an older lease is dropped first. Leaving the enumeration aborts the stage within a step or two, without a checkpoint.</summary>
    /// <param name="lease">What to run.</param>
    /// <param name="cancellationToken">Aborts the stage.</param>
    /// <remarks>Reports are to be pulled one at a time (batch size 1): asking for the next one acknowledges the last.</remarks>
    /// <exception cref="StaleLeaseException">The worker has seen a newer lease.</exception>
    IAsyncEnumerable<WorkerReport> Run(StageLease lease, CancellationToken cancellationToken = default);

    /// <summary>Opens ahead what a run will need, on a silo that is to host workers soon. It does not begin to run.</summary>
    /// <param name="lease">What it is to run; its epoch is not begun.</param>
    /// <param name="cancellationToken">Gives up.</param>
    [AlwaysInterleave, ResponseTimeout("00:10:00")]
    Task Prepare(StageLease lease, CancellationToken cancellationToken = default);

    /// <summary>Asks the run of a lease, or of an older one, to save at the next step boundary and to end as stopped. A run that has yet to come ends as soon as it has.</summary>
    /// <param name="epoch">The lease's.</param>
    /// <param name="keep">Where the state is to be kept.</param>
    /// <param name="cancellationToken">Gives up asking.</param>
    [AlwaysInterleave]
    Task Stop(long epoch, StateKeeping keep = StateKeeping.Checkpoint, CancellationToken cancellationToken = default);

    /// <summary>Deletes the job's working files (checkpoints, token cache), not what it has published. Ends any run first.</summary>
    Task Discard(CancellationToken cancellationToken = default);
}

/// <summary>Where a run that stops leaves its state. Sent: values are append-only.</summary>
public enum StateKeeping
{
    /// <summary>In a checkpoint on disk: the job rests, or its silos leave.</summary>
    Checkpoint = 0,

    /// <summary>In the silos' memory, as a snapshot: the job goes on at once, on other silos.</summary>
    Memory = 1,
}

/// <summary>A lease came that is older than one the worker has seen: its job was woken elsewhere meanwhile.</summary>
[GenerateSerializer, Alias("StaleLeaseException")]
public sealed class StaleLeaseException(long offered, long current)
    : Exception($"Lease {offered} was offered, but the worker has seen lease {current}.")
{
    [Id(0)] public long Offered { get; } = offered;

    [Id(1)] public long Current { get; } = current;
}
