namespace Dalle.Contracts.Training;

/// <summary>What a training job is: everything that decides its final weights. Stored and sent; two jobs with equal specs train equal models.</summary>
[GenerateSerializer, Immutable, Alias("TrainingSpec")]
public sealed record TrainingSpec
{
    /// <summary>Workers of a job, at most.</summary>
    public const int MostWorkers = 4096;

    /// <summary>Name of the preset that fixes the networks and how they learn.</summary>
    [Id(0)] public required string Preset { get; init; }

    /// <summary>Where samples come from: <c>scenes</c>, or the folder of an imported dataset.</summary>
    [Id(1)] public required string Dataset { get; init; }

    /// <summary>Name the finished model is published under.</summary>
    [Id(2)] public required string Model { get; init; }

    /// <summary>Seed of every random number of the job. Default: 0.</summary>
    [Id(3)] public ulong Seed { get; init; }

    /// <summary>Updates of the discrete VAE; null for the preset's.</summary>
    [Id(4)] public int? DiscreteVaeUpdates { get; init; }

    /// <summary>Updates of the prior; null for the preset's.</summary>
    [Id(5)] public int? PriorUpdates { get; init; }

    /// <summary>Updates from one scheduled checkpoint to the next. Default: 500.</summary>
    [Id(6)] public int CheckpointEvery { get; init; } = 500;

    /// <summary>Checkpoints kept per stage; older ones are deleted. Default: 2.</summary>
    [Id(7)] public int KeepCheckpoints { get; init; } = 2;

    /// <summary>libtorch threads of a worker: another count rounds differently, so it belongs to the job, not to the host. Default: 2.</summary>
    [Id(8)] public int ThreadsPerWorker { get; init; } = 2;

    /// <summary>Copies of the parameters that share every batch, R. It belongs to the job: where the workers run changes nothing. Default: 1.</summary>
    [Id(9)] public int Replicas { get; init; } = 1;

    /// <summary>Workers that share the parameters of each copy, S. Default: 1.</summary>
    [Id(10)] public int Shards { get; init; } = 1;

    /// <summary>Rank that the prior's gradients are compressed to between replicas; null for the preset's, 0 for no compression.</summary>
    [Id(11)] public int? CompressionRank { get; init; }

    /// <summary>What becomes of the error buffers of a silo that was lost. Default: exact.</summary>
    [Id(12)] public RecoveryMode Recovery { get; init; }

    /// <summary>Updates of the reranker; null for the preset's, 0 for no reranker.</summary>
    [Id(13)] public int? RerankerUpdates { get; init; }

    /// <summary>Checks what can be checked without knowing the presets and the datasets.</summary>
    /// <exception cref="InvalidRequestException">A field is not valid; it is named.</exception>
    public void Validate()
    {
        Names.Check(Preset, nameof(Preset));
        Names.Check(Model, nameof(Model));
        if (string.IsNullOrWhiteSpace(Dataset))
        {
            throw new InvalidRequestException("Dataset is empty: expected 'scenes' or the folder of an imported dataset.", nameof(Dataset));
        }

        AtLeastOne(DiscreteVaeUpdates ?? 1, nameof(DiscreteVaeUpdates));
        AtLeastOne(PriorUpdates ?? 1, nameof(PriorUpdates));
        AtLeastOne(CheckpointEvery, nameof(CheckpointEvery));
        AtLeastOne(KeepCheckpoints, nameof(KeepCheckpoints));
        AtLeastOne(ThreadsPerWorker, nameof(ThreadsPerWorker));
        AtLeastOne(Replicas, nameof(Replicas));
        AtLeastOne(Shards, nameof(Shards));
        if ((long)Replicas * Shards > MostWorkers)
        {
            throw new InvalidRequestException($"{nameof(Replicas)} x {nameof(Shards)} is {Replicas} x {Shards}: expected at most {MostWorkers} workers.", nameof(Replicas));
        }

        AtLeastZero(CompressionRank ?? 0, nameof(CompressionRank));
        AtLeastZero(RerankerUpdates ?? 0, nameof(RerankerUpdates));
    }

    private static void AtLeastZero(int value, string parameter)
    {
        if (value < 0)
        {
            throw new InvalidRequestException($"{parameter} is {value}: expected at least 0.", parameter);
        }
    }

    private static void AtLeastOne(int value, string parameter)
    {
        if (value < 1)
        {
            throw new InvalidRequestException($"{parameter} is {value}: expected at least 1.", parameter);
        }
    }
}

/// <summary>How a job goes on when a silo was lost with the error buffers of compression that it had. Stored and sent: values are append-only.</summary>
public enum RecoveryMode
{
    /// <summary>All go back to the newest snapshot, at most about a second of work, and compute it again to the same bytes.</summary>
    Exact = 0,

    /// <summary>The newest step is kept; what is left of the error buffers is shared out among all replicas. The bytes differ from those of an undisturbed run.</summary>
    Continue = 1,
}

/// <summary>The stages of a job. Stored and sent: values are append-only, so their order is not that of the stages.</summary>
public enum TrainingStage
{
    /// <summary>The dataset is opened, checked and counted.</summary>
    Prepare = 0,

    /// <summary>The BPE tokenizer is trained on the captions.</summary>
    Tokenizer = 1,

    /// <summary>The discrete VAE is trained.</summary>
    DiscreteVae = 2,

    /// <summary>Every picture is encoded to image tokens.</summary>
    Encode = 3,

    /// <summary>The prior is trained.</summary>
    Prior = 4,

    /// <summary>The model is published to the catalog.</summary>
    Publish = 5,

    /// <summary>The reranker is trained, after the prior and before the model is published; nothing, in a job without one.</summary>
    Reranker = 6,
}

/// <summary>Where a job stands. Stored and sent: values are append-only.</summary>
public enum TrainingPhase
{
    NotStarted = 0,
    Running = 1,
    Paused = 2,
    Completed = 3,
    Failed = 4,
    Cancelled = 5,
}
