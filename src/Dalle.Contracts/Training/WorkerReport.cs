using Dalle.Contracts.Models;

namespace Dalle.Contracts.Training;

/// <summary>What the workers of a silo tell their job while they run a stage. The last report of a lease is one of done, stopped, failed or peer lost; without one the silo was lost.</summary>
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

/// <summary>The stage was stopped at a step boundary, its state kept: because the job asked, or because a silo is leaving.</summary>
/// <param name="Leaving">Whether it is this one.</param>
[GenerateSerializer, Immutable, Alias("StoppedReport")]
public sealed record StoppedReport([property: Id(0)] bool Leaving = false) : WorkerReport;

/// <summary>Another host was lost in the middle of an update, which was not done: the job is to begin another epoch.</summary>
/// <param name="Silo">The silo that this one heard nothing of, or whose connection closed.</param>
/// <param name="Gone">Whether it has most likely ended, as a closed connection tells; false if it only left this epoch.</param>
/// <param name="Reason">What was seen, in one line.</param>
[GenerateSerializer, Immutable, Alias("PeerLostReport")]
public sealed record PeerLostReport([property: Id(0)] string Silo, [property: Id(1)] bool Gone, [property: Id(2)] string Reason) : WorkerReport;

/// <summary>The stage cannot go on, and would not if it were tried again as it is.</summary>
/// <param name="Reason">One line for people.</param>
[GenerateSerializer, Immutable, Alias("FailedReport")]
public sealed record FailedReport([property: Id(0)] string Reason) : WorkerReport;
