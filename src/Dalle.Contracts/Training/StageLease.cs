namespace Dalle.Contracts.Training;

/// <summary>The right to run one stage of a job, given by the job to the silos that host its workers.</summary>
[GenerateSerializer, Immutable, Alias("StageLease")]
public sealed record StageLease
{
    /// <summary>The membership epoch; every lease begins one. A silo drops an older lease when a newer one comes, and refuses what is older than its own.</summary>
    [Id(0)] public required long Epoch { get; init; }

    [Id(1)] public required TrainingStage Stage { get; init; }

    [Id(2)] public required TrainingSpec Spec { get; init; }

    /// <summary>Where the stage goes on; null to begin at its first step.</summary>
    [Id(3)] public CheckpointManifest? Checkpoint { get; init; }

    /// <summary>Figures of the stages before (psnr, perplexity, imageLoss, ...), to be published with the model.</summary>
    [Id(4)] public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();

    /// <summary>Where the workers are. Stages that do not train run on the leader alone.</summary>
    [Id(5)] public required WorkerPlacement Placement { get; init; }

    /// <summary>The snapshot in the silos' memory that the stage goes on from, where there is one newer than the <see cref="Checkpoint"/>; else null.</summary>
    [Id(6)] public RestorePoint? Snapshot { get; init; }
}
