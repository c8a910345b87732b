namespace Dalle.Contracts.Training;

/// <summary>The right to run one stage of a job, given by the job to its worker.</summary>
[GenerateSerializer, Immutable, Alias("StageLease")]
public sealed record StageLease
{
    /// <summary>Counts the job's leases: a worker drops an older one when a newer one comes, and refuses what is older than its own.</summary>
    [Id(0)] public required long Epoch { get; init; }

    [Id(1)] public required TrainingStage Stage { get; init; }

    [Id(2)] public required TrainingSpec Spec { get; init; }

    /// <summary>Where the stage goes on; null to begin at its first step.</summary>
    [Id(3)] public CheckpointManifest? Checkpoint { get; init; }

    /// <summary>Figures of the stages before (psnr, perplexity, imageLoss, ...), to be published with the model.</summary>
    [Id(4)] public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}
