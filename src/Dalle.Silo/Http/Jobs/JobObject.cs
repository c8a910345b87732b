using Dalle.Contracts.Training;

namespace Dalle.Silo.Http.Jobs;

/// <summary>Where a training job stands.</summary>
internal sealed record JobObject
{
    public required string Id { get; init; }

    public string Object { get; init; } = "training.job";

    /// <summary>When it was submitted, in seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    public required TrainingPhase Status { get; init; }

    public required TrainingStage Stage { get; init; }

    /// <summary>Updates done in this stage.</summary>
    public required int Step { get; init; }

    /// <summary>Updates of this stage in all; 0 where it does not count updates.</summary>
    public required int Updates { get; init; }

    /// <summary>Why it failed; null unless it did.</summary>
    public required string? Failure { get; init; }

    public required string Preset { get; init; }

    /// <summary>Name of its dataset.</summary>
    public required string Data { get; init; }

    /// <summary>Name its model is published under.</summary>
    public required string Model { get; init; }

    public required ulong Seed { get; init; }

    /// <summary>Updates of the discrete VAE it was submitted with; null for the preset's.</summary>
    public required int? DvaeUpdates { get; init; }

    /// <summary>Updates of the prior it was submitted with; null for the preset's.</summary>
    public required int? PriorUpdates { get; init; }

    /// <summary>Updates of the reranker it was submitted with; null for the preset's, 0 for no reranker.</summary>
    public required int? RerankerUpdates { get; init; }

    public required int CheckpointEvery { get; init; }

    public required int KeepCheckpoints { get; init; }

    public required int Threads { get; init; }

    /// <summary>Copies of the parameters that share every batch.</summary>
    public required int Replicas { get; init; }

    /// <summary>Workers that share the parameters of each copy.</summary>
    public required int Shards { get; init; }

    /// <summary>Rank that the prior's gradients are compressed to between replicas; null for the preset's.</summary>
    public required int? CompressionRank { get; init; }

    /// <summary>How it goes on when a silo is lost.</summary>
    public required RecoveryMode Recovery { get; init; }

    /// <summary>Updates done in the checkpoint that this stage would go on from; null if there is none yet.</summary>
    public required int? CheckpointStep { get; init; }

    /// <summary>Seconds spent in each stage, by its name.</summary>
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
        RerankerUpdates = job.Spec.RerankerUpdates,
        CheckpointEvery = job.Spec.CheckpointEvery,
        KeepCheckpoints = job.Spec.KeepCheckpoints,
        Threads = job.Spec.ThreadsPerWorker,
        Replicas = job.Spec.Replicas,
        Shards = job.Spec.Shards,
        CompressionRank = job.Spec.CompressionRank,
        Recovery = job.Spec.Recovery,
        CheckpointStep = job.Checkpoint?.Step,
        StageSeconds = job.StageSeconds,
        Figures = JobFigures.Of(job),
    };
}

/// <summary>The newest figures of a job; null where there are none yet, or no finite ones.</summary>
internal sealed record JobFigures
{
    /// <summary>The discrete VAE's relaxed bound, in nats per sub-pixel.</summary>
    public double? DvaeLoss { get; init; }

    /// <summary>Peak signal-to-noise ratio of held-out reconstructions, in dB.</summary>
    public double? Psnr { get; init; }

    /// <summary>exp of the entropy of the codes of held-out pictures.</summary>
    public double? Perplexity { get; init; }

    /// <summary>Codes used at least once by held-out pictures.</summary>
    public int? CodesInUse { get; init; }

    /// <summary>Whether those pictures were ones that training sees, because the dataset holds none out.</summary>
    public bool? OfTrainingPictures { get; init; }

    /// <summary>Cross-entropy of the image tokens, in nats per token.</summary>
    public double? ImageLoss { get; init; }

    /// <summary>Cross-entropy of the text tokens, in nats per token.</summary>
    public double? TextLoss { get; init; }

    /// <summary>The prior's sequence positions per second.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>The reranker's contrastive loss, in nats.</summary>
    public double? RerankerLoss { get; init; }

    /// <summary>The reranker's contrastive temperature.</summary>
    public double? RerankerTemperature { get; init; }

    /// <summary>Share of held-out pictures that find their caption in their batch.</summary>
    public double? ImageToText { get; init; }

    /// <summary>Share of held-out captions that find their picture in their batch.</summary>
    public double? TextToImage { get; init; }

    /// <summary>Seconds to the end of the present stage, at its present speed.</summary>
    public double? RemainingSeconds { get; init; }

    public static JobFigures Of(TrainingStatus job) => new()
    {
        DvaeLoss = Finite(job.DiscreteVae?.Loss),
        Psnr = Finite(job.Reconstruction?.Psnr),
        Perplexity = Finite(job.Reconstruction?.Perplexity),
        CodesInUse = job.Reconstruction?.CodesInUse,
        OfTrainingPictures = job.Reconstruction?.OfTrainingPictures,
        ImageLoss = Finite(job.Prior?.ImageLoss),
        TextLoss = Finite(job.Prior?.TextLoss),
        TokensPerSecond = Finite(job.Prior?.TokensPerSecond),
        RerankerLoss = Finite(job.Reranker?.Loss),
        RerankerTemperature = Finite(job.Reranker?.Temperature),
        ImageToText = Finite(job.Retrieval?.ImageToText),
        TextToImage = Finite(job.Retrieval?.TextToImage),
        RemainingSeconds = job.Stage switch
        {
            TrainingStage.DiscreteVae => job.DiscreteVae?.Remaining.TotalSeconds,
            TrainingStage.Prior => job.Prior?.Remaining.TotalSeconds,
            TrainingStage.Reranker => job.Reranker?.Remaining.TotalSeconds,
            _ => null,
        },
    };

    private static double? Finite(double? figure) => figure is { } value && double.IsFinite(value) ? value : null;
}
