namespace Dalle.Contracts.Training;

/// <summary>A complete, durable state of a stage: weights, optimiser and step. The files are written and named before the job names them here.</summary>
/// <param name="Stage">The stage it belongs to.</param>
/// <param name="Step">Updates done.</param>
/// <param name="Path">Its folder within the job's artifacts.</param>
[GenerateSerializer, Immutable, Alias("CheckpointManifest")]
public sealed record CheckpointManifest([property: Id(0)] TrainingStage Stage, [property: Id(1)] int Step, [property: Id(2)] string Path);

/// <summary>What a job reports of itself.</summary>
[GenerateSerializer, Immutable, Alias("TrainingStatus")]
public sealed record TrainingStatus
{
    [Id(0)] public required string JobId { get; init; }

    [Id(1)] public required TrainingSpec Spec { get; init; }

    [Id(2)] public required TrainingPhase Phase { get; init; }

    [Id(3)] public required TrainingStage Stage { get; init; }

    /// <summary>Updates done in this stage.</summary>
    [Id(4)] public int Step { get; init; }

    /// <summary>Updates of this stage in all; 0 where the stage does not count updates.</summary>
    [Id(5)] public int Updates { get; init; }

    [Id(6)] public CheckpointManifest? Checkpoint { get; init; }

    /// <summary>Why the job failed, in one line; null unless <see cref="TrainingPhase.Failed"/>.</summary>
    [Id(7)] public string? Failure { get; init; }

    /// <summary>When it was submitted.</summary>
    [Id(8)] public DateTimeOffset Submitted { get; init; }

    /// <summary>The newest report of each kind, for a reader that has just arrived.</summary>
    [Id(9)] public DiscreteVaeStepCompleted? DiscreteVae { get; init; }

    [Id(10)] public DiscreteVaeEvaluated? Reconstruction { get; init; }

    [Id(11)] public PriorStepCompleted? Prior { get; init; }

    /// <summary>Seconds spent in each finished stage.</summary>
    [Id(12)] public IReadOnlyDictionary<TrainingStage, double> StageSeconds { get; init; } = new Dictionary<TrainingStage, double>();

    [Id(13)] public RerankerStepCompleted? Reranker { get; init; }

    [Id(14)] public RerankerEvaluated? Retrieval { get; init; }
}
