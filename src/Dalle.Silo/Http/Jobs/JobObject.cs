using System.ComponentModel;
using Dalle.Contracts.Training;

namespace Dalle.Silo.Http.Jobs;

/// <summary>Where a training job stands.</summary>
internal sealed record JobObject
{
    public required string Id { get; init; }

    public string Object { get; } = "training.job";

    [Description("When it was submitted, in seconds since 1970.")]
    public required long CreatedAt { get; init; }

    public required TrainingPhase Status { get; init; }

    public required TrainingStage Stage { get; init; }

    [Description("Updates done in this stage.")]
    public required int Step { get; init; }

    [Description("Updates of this stage in all; 0 where it does not count updates.")]
    public required int Updates { get; init; }

    [Description("Why it failed; null unless it did.")]
    public required string? Failure { get; init; }

    public required string Preset { get; init; }

    [Description("Name of its dataset.")]
    public required string Data { get; init; }

    [Description("Name its model is published under.")]
    public required string Model { get; init; }

    public required ulong Seed { get; init; }

    [Description("Updates of the discrete VAE it was submitted with; null for the preset's.")]
    public required int? DvaeUpdates { get; init; }

    [Description("Updates of the prior it was submitted with; null for the preset's.")]
    public required int? PriorUpdates { get; init; }

    public required int CheckpointEvery { get; init; }

    public required int KeepCheckpoints { get; init; }

    public required int Threads { get; init; }

    [Description("Updates done in the checkpoint that this stage would go on from; null if there is none yet.")]
    public required int? CheckpointStep { get; init; }

    [Description("Seconds spent in each stage, by its name.")]
    public required IReadOnlyDictionary<TrainingStage, double> StageSeconds { get; init; }

    public required JobFigures Figures { get; init; }

    public static JobObject Of(TrainingStatus job) => new()
    {
        Id = job.JobId,
        CreatedAt = job.Submitted.ToUnixTimeSeconds(),
        Status = job.Phase,
        Stage = job.Stage,
        Step = job.Step,
        Updates = job.Updates,
        Failure = job.Failure,
        Preset = job.Spec.Preset,
        Data = NamedDatasets.NameOf(job.Spec.Dataset),
        Model = job.Spec.Model,
        Seed = job.Spec.Seed,
        DvaeUpdates = job.Spec.DiscreteVaeUpdates,
        PriorUpdates = job.Spec.PriorUpdates,
        CheckpointEvery = job.Spec.CheckpointEvery,
        KeepCheckpoints = job.Spec.KeepCheckpoints,
        Threads = job.Spec.ThreadsPerWorker,
        CheckpointStep = job.Checkpoint?.Step,
        StageSeconds = job.StageSeconds,
        Figures = JobFigures.Of(job),
    };
}

/// <summary>The newest figures of a job; null where there are none yet, or no finite ones.</summary>
internal sealed record JobFigures
{
    [Description("The discrete VAE's relaxed bound, in nats per sub-pixel.")]
    public double? DvaeLoss { get; init; }

    [Description("Peak signal-to-noise ratio of held-out reconstructions, in dB.")]
    public double? Psnr { get; init; }

    [Description("exp of the entropy of the codes of held-out pictures.")]
    public double? Perplexity { get; init; }

    [Description("Codes used at least once by held-out pictures.")]
    public int? CodesInUse { get; init; }

    [Description("Cross-entropy of the image tokens, in nats per token.")]
    public double? ImageLoss { get; init; }

    [Description("Cross-entropy of the text tokens, in nats per token.")]
    public double? TextLoss { get; init; }

    [Description("The prior's sequence positions per second.")]
    public double? TokensPerSecond { get; init; }

    [Description("Seconds to the end of the present stage, at its present speed.")]
    public double? RemainingSeconds { get; init; }

    public static JobFigures Of(TrainingStatus job) => new()
    {
        DvaeLoss = Finite(job.DiscreteVae?.Loss),
        Psnr = Finite(job.Reconstruction?.Psnr),
        Perplexity = Finite(job.Reconstruction?.Perplexity),
        CodesInUse = job.Reconstruction?.CodesInUse,
        ImageLoss = Finite(job.Prior?.ImageLoss),
        TextLoss = Finite(job.Prior?.TextLoss),
        TokensPerSecond = Finite(job.Prior?.TokensPerSecond),
        RemainingSeconds = job.Stage switch
        {
            TrainingStage.DiscreteVae => job.DiscreteVae?.Remaining.TotalSeconds,
            TrainingStage.Prior => job.Prior?.Remaining.TotalSeconds,
            _ => null,
        },
    };

    private static double? Finite(double? figure) => figure is { } value && double.IsFinite(value) ? value : null;
}
