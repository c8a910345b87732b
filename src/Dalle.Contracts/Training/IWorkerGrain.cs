using Orleans.Concurrency;

namespace Dalle.Contracts.Training;

/// <summary>One logical worker of a job, keyed by <see cref="WorkerId"/>: runs stages on its silo's device.</summary>
public interface IWorkerGrain : IGrainWithStringKey
{
    /// <summary>Runs a stage to its end and reports. A run of an older lease is dropped first. Leaving the enumeration aborts the stage within a step or two, without a checkpoint.</summary>
    /// <param name="lease">What to run.</param>
    /// <param name="cancellationToken">Aborts the stage.</param>
    /// <remarks>Reports are to be pulled one at a time (batch size 1): asking for the next one acknowledges the last.</remarks>
    /// <exception cref="StaleLeaseException">The worker has seen a newer lease.</exception>
    IAsyncEnumerable<WorkerReport> Run(StageLease lease, CancellationToken cancellationToken = default);

    /// <summary>Asks the run of a lease, or of an older one, to save at the next step boundary and to end as stopped. A run that has yet to come ends as soon as it has.</summary>
    [AlwaysInterleave]
    Task Stop(long epoch, CancellationToken cancellationToken = default);

    /// <summary>Deletes the job's working files (checkpoints, token cache), not what it has published. Ends any run first.</summary>
    Task Discard(CancellationToken cancellationToken = default);
}

/// <summary>A lease came that is older than one the worker has seen: its job was woken elsewhere meanwhile.</summary>
[GenerateSerializer, Alias("StaleLeaseException")]
public sealed class StaleLeaseException(long offered, long current)
    : Exception($"Lease {offered} was offered, but the worker has seen lease {current}.")
{
    [Id(0)] public long Offered { get; } = offered;

    [Id(1)] public long Current { get; } = current;
}
