using Dalle.Contracts.Models;

namespace Dalle.Contracts.Training;

/// <summary>What a worker tells its job while it runs a stage. The last report of a lease is one of done, stopped or failed; without one the worker was lost.</summary>
[GenerateSerializer, Immutable, Alias("WorkerReport")]
public abstract record WorkerReport;

/// <summary>The stage has got further.</summary>
/// <param name="Event">For the job's watchers; the job numbers it.</param>
[GenerateSerializer, Immutable, Alias("ProgressReport")]
public sealed record ProgressReport([property: Id(0)] TrainingEvent Event) : WorkerReport;

/// <summary>A checkpoint is durable. By asking for the next report the job says that it has named it.</summary>
/// <param name="Checkpoint">What was written.</param>
[GenerateSerializer, Immutable, Alias("CheckpointReport")]
public sealed record CheckpointReport([property: Id(0)] CheckpointManifest Checkpoint) : WorkerReport;

/// <summary>The stage is done and what it makes is durable.</summary>
/// <param name="Model">The model to enter into the catalog; null for all stages but the last.</param>
[GenerateSerializer, Immutable, Alias("DoneReport")]
public sealed record DoneReport([property: Id(0)] ModelManifest? Model = null) : WorkerReport;

/// <summary>The stage was stopped at a step boundary, after a checkpoint if it keeps any: because the job asked, or because the worker's silo is leaving.</summary>
[GenerateSerializer, Immutable, Alias("StoppedReport")]
public sealed record StoppedReport : WorkerReport;

/// <summary>The stage cannot go on, and would not if it were tried again as it is.</summary>
/// <param name="Reason">One line for people.</param>
[GenerateSerializer, Immutable, Alias("FailedReport")]
public sealed record FailedReport([property: Id(0)] string Reason) : WorkerReport;
