using Dalle.Contracts.Cluster;
using Orleans.Concurrency;

namespace Dalle.Contracts.Training;

/// <summary>One training job, keyed by job id: drives the stages through a worker and keeps what must outlive any silo.</summary>
public interface ITrainingJobGrain : IGrainWithStringKey
{
    /// <summary>Starts the job. Repeating the call with the same spec is a no-op.</summary>
    /// <exception cref="InvalidRequestException">The spec is not valid, or the job id is taken by another spec.</exception>
    Task Start(TrainingSpec spec, CancellationToken cancellationToken = default);

    /// <summary>Stops at the next step boundary, with a checkpoint. Returns once it is durable. Repeating the call is a no-op.</summary>
    /// <exception cref="NotFoundException">No such job was started.</exception>
    /// <exception cref="InvalidRequestException">The job has ended.</exception>
    [ResponseTimeout("00:10:00")]
    Task Pause(CancellationToken cancellationToken = default);

    /// <summary>Goes on with a paused or failed job from its last checkpoint. A no-op while it runs.</summary>
    /// <param name="workers">How many workers there are from now on, which is then part of the job's spec; null for as many as before.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NotFoundException">No such job was started.</exception>
    /// <exception cref="InvalidRequestException">The job has ended, or runs with another number of workers than is asked for, or that is not valid.</exception>
    Task Resume(WorkerCounts? workers = null, CancellationToken cancellationToken = default);

    /// <summary>Ends the job for good and deletes its working files. Repeating the call is a no-op.</summary>
    /// <exception cref="NotFoundException">No such job was started.</exception>
    /// <exception cref="InvalidRequestException">The job has completed.</exception>
    [ResponseTimeout("00:10:00")]
    Task Cancel(CancellationToken cancellationToken = default);

    /// <summary>Activates the job, so that one that was running when its silo was lost goes on.</summary>
    Task Wake(CancellationToken cancellationToken = default);

    /// <exception cref="NotFoundException">No such job was started.</exception>
    [ReadOnly]
    Task<TrainingStatus> GetStatus(CancellationToken cancellationToken = default);

    /// <summary>Events as they come, after those of an earlier watch; ends when the job completes, fails, pauses or is cancelled.</summary>
    /// <remarks>The newest few hundred events are kept, in memory. Numbers always grow, also over a loss of the silo, but are not consecutive.</remarks>
    /// <exception cref="NotFoundException">No such job was started.</exception>
    /// <param name="after">Sequence number of the last event already seen; 0 for all that are still kept.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    IAsyncEnumerable<TrainingEvent> Watch(long after = 0, CancellationToken cancellationToken = default);
}

/// <summary>The cluster as a whole: its silos, and its jobs in order of submission.</summary>
public interface IClusterGrain : IGrainWithIntegerKey
{
    /// <summary>Enters a job. Repeating the call is a no-op.</summary>
    Task Register(string jobId, CancellationToken cancellationToken = default);

    /// <summary>Ids of all jobs, newest first.</summary>
    [ReadOnly]
    Task<IReadOnlyList<string>> ListJobs(CancellationToken cancellationToken = default);

    /// <summary>The active silos, in order of their addresses.</summary>
    [AlwaysInterleave]
    Task<IReadOnlyList<SiloReport>> ListSilos(CancellationToken cancellationToken = default);

    /// <summary>Wakes the jobs that were running when the cluster last stopped, so that they go on by themselves.</summary>
    Task WakeJobs(CancellationToken cancellationToken = default);
}
