using Dalle.Contracts;
using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>What must outlive any silo of a training job, and the rules by which it changes. Every transition gives a new state, so the rules need no cluster to be tested.</summary>
[GenerateSerializer, Immutable, Alias("TrainingJobState")]
public sealed record TrainingJobState
{
    /// <summary>What the job is; null until it is started.</summary>
    [Id(0)] public TrainingSpec? Spec { get; init; }

    [Id(1)] public TrainingPhase Phase { get; init; }

    [Id(2)] public TrainingStage Stage { get; init; }

    /// <summary>Where the present stage goes on; null to begin at its first step.</summary>
    [Id(3)] public CheckpointManifest? Checkpoint { get; init; }

    /// <summary>The membership epoch: counts leases.</summary>
    [Id(4)] public long Epoch { get; init; }

    /// <summary>Why the job failed; null unless it did.</summary>
    [Id(5)] public string? Failure { get; init; }

    [Id(6)] public DateTimeOffset Submitted { get; init; }

    /// <summary>Seconds spent in each stage, over all its runs.</summary>
    [Id(7)] public IReadOnlyDictionary<TrainingStage, double> StageSeconds { get; init; } = new Dictionary<TrainingStage, double>();

    [Id(8)] public DiscreteVaeStepCompleted? DiscreteVae { get; init; }

    [Id(9)] public DiscreteVaeEvaluated? Reconstruction { get; init; }

    [Id(10)] public PriorStepCompleted? Prior { get; init; }

    /// <summary>Updates done in the present stage.</summary>
    [Id(11)] public int Step { get; init; }

    /// <summary>Updates of the present stage in all; 0 where it does not count updates.</summary>
    [Id(12)] public int Updates { get; init; }

    [Id(13)] public RerankerStepCompleted? Reranker { get; init; }

    [Id(14)] public RerankerEvaluated? Retrieval { get; init; }

    /// <summary>Number of the event that tells of the rest; 0 for a job that runs, or that came to rest before this was kept.</summary>
    [Id(15)] public long RestSequence { get; init; }

    /// <summary>Whether the job has ended for good.</summary>
    public bool Ended => Phase is TrainingPhase.Completed or TrainingPhase.Cancelled;

    /// <summary>Whether nothing more happens until somebody asks for it.</summary>
    public bool Rests => Phase is not TrainingPhase.Running;

    /// <summary>Figures to publish with the model.</summary>
    public IReadOnlyDictionary<string, double> Metrics
    {
        get
        {
            var metrics = new Dictionary<string, double>();
            if (Reconstruction is { } reconstruction)
            {
                metrics[reconstruction.OfTrainingPictures ? "trainingPsnr" : "psnr"] = reconstruction.Psnr;
                metrics["perplexity"] = reconstruction.Perplexity;
                metrics["codesInUse"] = reconstruction.CodesInUse;
            }

            if (Prior is { } prior)
            {
                metrics["imageLoss"] = prior.ImageLoss;
                metrics["textLoss"] = prior.TextLoss;
                metrics["priorUpdates"] = prior.Step;
                metrics["tokensPerSecond"] = prior.TokensPerSecond;
            }

            if (DiscreteVae is { } vae)
            {
                metrics["dvaeUpdates"] = vae.Step;
            }

            if (Reranker is { } reranker)
            {
                metrics["rerankerTemperature"] = reranker.Temperature;
                metrics["rerankerUpdates"] = reranker.Step;
            }

            if (Retrieval is { } retrieval)
            {
                metrics[retrieval.OfTrainingPictures ? "trainingRerankerLoss" : "rerankerLoss"] = retrieval.Loss;
                metrics[retrieval.OfTrainingPictures ? "trainingImageToText" : "imageToText"] = retrieval.ImageToText;
                metrics[retrieval.OfTrainingPictures ? "trainingTextToImage" : "textToImage"] = retrieval.TextToImage;
            }

            return metrics;
        }
    }

    /// <summary>The first start; a repeat with the same spec changes nothing.</summary>
    /// <exception cref="InvalidRequestException">The job id is taken by another spec.</exception>
    public TrainingJobState Start(TrainingSpec spec, DateTimeOffset now)
    {
        if (Spec is null)
        {
            return this with { Spec = spec, Phase = TrainingPhase.Running, Submitted = now };
        }

        return Spec == spec ? this : throw new InvalidRequestException(
            $"The job id is taken by a job of preset '{Spec.Preset}' on '{Spec.Dataset}' with seed {Spec.Seed}, which differs from what was asked; choose another id.", "id");
    }

    /// <summary>The worker has stopped at a step boundary because the job was asked to pause.</summary>
    public TrainingJobState Pause() => Phase == TrainingPhase.Running ? this with { Phase = TrainingPhase.Paused } : this;

    /// <summary>Goes on from the last checkpoint.</summary>
    /// <param name="workers">How many workers there are from now on; null for as many as before.</param>
    /// <exception cref="InvalidRequestException">The job has ended, or runs with other workers, or cannot have so many.</exception>
    public TrainingJobState Resume(WorkerCounts? workers = null)
    {
        if (Ended)
        {
            throw new InvalidRequestException($"The job is {Phase.ToString().ToLowerInvariant()}; only a paused or failed job can be resumed.");
        }

        var spec = Spec! with { Replicas = workers?.Replicas ?? Spec!.Replicas, Shards = workers?.Shards ?? Spec!.Shards };
        spec.Validate();
        return spec == Spec || Rests
            ? this with { Spec = spec, Phase = TrainingPhase.Running, Failure = null }
            : throw new InvalidRequestException($"The job runs with {Spec!.Replicas} x {Spec.Shards} workers. Pause it, then resume it with {spec.Replicas} x {spec.Shards}.");
    }

    /// <exception cref="InvalidRequestException">The job has completed.</exception>
    public TrainingJobState Cancel() => Phase == TrainingPhase.Completed
        ? throw new InvalidRequestException("The job has completed and cannot be cancelled; delete its model instead.")
        : this with { Phase = TrainingPhase.Cancelled };

    /// <summary>The job cannot go on. One that was cancelled meanwhile stays so.</summary>
    public TrainingJobState Fail(string reason) => Phase == TrainingPhase.Cancelled ? this : this with { Phase = TrainingPhase.Failed, Failure = reason };

    /// <summary>A new lease; those before it are void.</summary>
    public TrainingJobState NextLease() => this with { Epoch = Epoch + 1 };

    /// <summary>The lease as the hosts of the workers get it.</summary>
    /// <param name="placement">Where the workers are.</param>
    /// <param name="snapshot">What they go on from, if not from the checkpoint.</param>
    public StageLease Lease(WorkerPlacement placement, RestorePoint? snapshot) =>
        new() { Epoch = Epoch, Stage = Stage, Spec = Spec!, Checkpoint = Checkpoint, Metrics = Metrics, Placement = placement, Snapshot = snapshot };

    /// <summary>Takes in what an event says of the job.</summary>
    public TrainingJobState Observe(TrainingEvent progress) => progress switch
    {
        StageStarted e => this with { Step = Math.Max(Step, e.FromStep), Updates = e.Updates },
        DiscreteVaeStepCompleted e => this with { DiscreteVae = e, Step = e.Step, Updates = e.Updates },
        PriorStepCompleted e => this with { Prior = e, Step = e.Step, Updates = e.Updates },
        RerankerStepCompleted e => this with { Reranker = e, Step = e.Step, Updates = e.Updates },
        DiscreteVaeEvaluated e => this with { Reconstruction = e },
        RerankerEvaluated e => this with { Retrieval = e },
        _ => this,
    };

    /// <summary>So many updates were done somewhere: a job whose own silo was lost may have told more of them than it has stored.</summary>
    public TrainingJobState Committed(int step) => step > Step ? this with { Step = step } : this;

    /// <summary>A durable checkpoint of the present stage is the one to go on from.</summary>
    public TrainingJobState Name(CheckpointManifest checkpoint) => checkpoint.Stage == Stage ? this with { Checkpoint = checkpoint, Step = Math.Max(Step, checkpoint.Step) } : this;

    /// <summary>Adds to the time spent in the present stage.</summary>
    public TrainingJobState Spend(TimeSpan time) =>
        this with { StageSeconds = new Dictionary<TrainingStage, double>(StageSeconds) { [Stage] = SecondsSpent + time.TotalSeconds } };

    /// <summary>Seconds spent in the present stage.</summary>
    public double SecondsSpent => StageSeconds.GetValueOrDefault(Stage);

    /// <summary>The present stage is done: on to the next, or to the end. A job that was cancelled meanwhile stays so.</summary>
    public TrainingJobState CompleteStage() => (Phase, TrainingStages.After(Stage, Spec!)) switch
    {
        (TrainingPhase.Cancelled, _) => this,
        (_, { } next) => this with { Stage = next, Checkpoint = null, Step = 0, Updates = 0 },
        _ => this with { Phase = TrainingPhase.Completed, Checkpoint = null },
    };

    /// <summary>What the job reports of itself.</summary>
    /// <exception cref="NotFoundException">No such job was started.</exception>
    public TrainingStatus Status(string jobId) => new()
    {
        JobId = jobId,
        Spec = Spec ?? throw new NotFoundException($"There is no job '{jobId}'."),
        Phase = Phase,
        Stage = Stage,
        Step = Step,
        Updates = Updates,
        Checkpoint = Checkpoint,
        Failure = Failure,
        Submitted = Submitted,
        DiscreteVae = DiscreteVae,
        Reconstruction = Reconstruction,
        Prior = Prior,
        StageSeconds = StageSeconds,
        Reranker = Reranker,
        Retrieval = Retrieval,
    };
}
