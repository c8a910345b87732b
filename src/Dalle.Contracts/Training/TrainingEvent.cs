using System.Text.Json.Serialization;

namespace Dalle.Contracts.Training;

/// <summary>Progress of a job. Events carry growing numbers, so that a watcher that was cut off goes on where it stopped.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PhaseChanged), "phase")]
[JsonDerivedType(typeof(StageStarted), "stage.started")]
[JsonDerivedType(typeof(StageCompleted), "stage.completed")]
[JsonDerivedType(typeof(StageAdvanced), "stage.advanced")]
[JsonDerivedType(typeof(DiscreteVaeStepCompleted), "dvae.step")]
[JsonDerivedType(typeof(DiscreteVaeEvaluated), "dvae.evaluated")]
[JsonDerivedType(typeof(PriorStepCompleted), "prior.step")]
[JsonDerivedType(typeof(RerankerStepCompleted), "reranker.step")]
[JsonDerivedType(typeof(RerankerEvaluated), "reranker.evaluated")]
[JsonDerivedType(typeof(SampleGridReady), "samples")]
[JsonDerivedType(typeof(CheckpointWritten), "checkpoint")]
[JsonDerivedType(typeof(CheckpointSkipped), "checkpoint.skipped")]
[JsonDerivedType(typeof(ModelPublished), "published")]
[JsonDerivedType(typeof(SampleReplaced), "sample.replaced")]
[JsonDerivedType(typeof(WorkersPlaced), "workers.placed")]
[GenerateSerializer, Immutable, Alias("TrainingEvent")]
public abstract record TrainingEvent
{
    /// <summary>Grows from event to event, also over a loss of the silo; set by the job.</summary>
    [Id(0)] public long Sequence { get; init; }

    /// <summary>When the job recorded it; set by the job.</summary>
    [Id(1)] public DateTimeOffset At { get; init; }
}

/// <summary>The job was started, paused, resumed, finished, cancelled or failed.</summary>
/// <param name="Phase">The phase entered.</param>
/// <param name="Reason">One line for people; null where the phase says it all.</param>
[GenerateSerializer, Immutable, Alias("PhaseChanged")]
public sealed record PhaseChanged([property: Id(0)] TrainingPhase Phase, [property: Id(1)] string? Reason = null) : TrainingEvent;

/// <summary>A stage began, or went on from a checkpoint.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="FromStep">Updates already done.</param>
/// <param name="Updates">Updates in all; 0 where the stage does not count updates.</param>
[GenerateSerializer, Immutable, Alias("StageStarted")]
public sealed record StageStarted([property: Id(0)] TrainingStage Stage, [property: Id(1)] int FromStep, [property: Id(2)] int Updates) : TrainingEvent;

/// <summary>A stage that does not train (prepare, tokenizer, encode, publish) has got this far.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Done">Pieces done (samples, merges).</param>
/// <param name="Total">Pieces in all; 0 if unknown.</param>
[GenerateSerializer, Immutable, Alias("StageAdvanced")]
public sealed record StageAdvanced([property: Id(0)] TrainingStage Stage, [property: Id(1)] long Done, [property: Id(2)] long Total) : TrainingEvent;

/// <summary>A stage is done.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Seconds">Time spent in it, over all its runs.</param>
[GenerateSerializer, Immutable, Alias("StageCompleted")]
public sealed record StageCompleted([property: Id(0)] TrainingStage Stage, [property: Id(1)] double Seconds) : TrainingEvent;

/// <summary>Updates of the discrete VAE were done; figures are of the newest one.</summary>
[GenerateSerializer, Immutable, Alias("DiscreteVaeStepCompleted")]
public sealed record DiscreteVaeStepCompleted : TrainingEvent
{
    /// <summary>Updates done.</summary>
    [Id(0)] public int Step { get; init; }

    [Id(1)] public int Updates { get; init; }

    /// <summary>The relaxed bound, in nats per sub-pixel.</summary>
    [Id(2)] public double Loss { get; init; }

    /// <summary>Its reconstruction part, in nats per sub-pixel.</summary>
    [Id(3)] public double Reconstruction { get; init; }

    /// <summary>KL to the uniform distribution, in nats per sub-pixel, unweighted.</summary>
    [Id(4)] public double Kl { get; init; }

    [Id(5)] public double KlWeight { get; init; }

    /// <summary>Relaxation temperature.</summary>
    [Id(6)] public double Tau { get; init; }

    [Id(7)] public double LearningRate { get; init; }

    /// <summary>exp of the entropy of the code distribution over the batch.</summary>
    [Id(8)] public double Perplexity { get; init; }

    [Id(9)] public double PicturesPerSecond { get; init; }

    /// <summary>Time to the end of the stage at the present speed.</summary>
    [Id(10)] public TimeSpan Remaining { get; init; }
}

/// <summary>The discrete VAE was tried on held-out pictures, where there are any, with its averaged weights and argmax codes.</summary>
[GenerateSerializer, Immutable, Alias("DiscreteVaeEvaluated")]
public sealed record DiscreteVaeEvaluated : TrainingEvent
{
    [Id(0)] public int Step { get; init; }

    /// <summary>Peak signal-to-noise ratio of the reconstructions, in dB.</summary>
    [Id(1)] public double Psnr { get; init; }

    /// <summary>exp of the entropy of the code distribution.</summary>
    [Id(2)] public double Perplexity { get; init; }

    /// <summary>Codes used at least once.</summary>
    [Id(3)] public int CodesInUse { get; init; }

    /// <summary>Codes there are.</summary>
    [Id(4)] public int CodebookSize { get; init; }

    /// <summary>Whether the pictures were ones that training sees, because the dataset holds none out.</summary>
    [Id(5)] public bool OfTrainingPictures { get; init; }
}

/// <summary>Updates of the prior were done; figures are of the newest one.</summary>
[GenerateSerializer, Immutable, Alias("PriorStepCompleted")]
public sealed record PriorStepCompleted : TrainingEvent
{
    /// <summary>Updates done.</summary>
    [Id(0)] public int Step { get; init; }

    [Id(1)] public int Updates { get; init; }

    /// <summary>The weighted loss, in nats per token.</summary>
    [Id(2)] public double Loss { get; init; }

    /// <summary>Cross-entropy of the text tokens, in nats per token.</summary>
    [Id(3)] public double TextLoss { get; init; }

    /// <summary>Cross-entropy of the image tokens, in nats per token.</summary>
    [Id(4)] public double ImageLoss { get; init; }

    /// <summary>The gradient's norm before clipping.</summary>
    [Id(5)] public double GradientNorm { get; init; }

    [Id(6)] public double LearningRate { get; init; }

    /// <summary>Sequence positions, text and image, per second.</summary>
    [Id(7)] public double TokensPerSecond { get; init; }

    /// <summary>Time to the end of the stage at the present speed.</summary>
    [Id(8)] public TimeSpan Remaining { get; init; }

    /// <summary>The smallest of the resblocks' gradient scales; null where the precision needs none.</summary>
    [Id(9)] public double? SmallestGradientScale { get; init; }

    /// <summary>The largest of the resblocks' gradient scales; null where the precision needs none.</summary>
    [Id(10)] public double? LargestGradientScale { get; init; }

    /// <summary>Updates skipped since the stage began, because gradients were not finite; null where the precision needs no scales.</summary>
    [Id(11)] public long? SkippedUpdates { get; init; }
}

/// <summary>Updates of the reranker were done; figures are of the newest one.</summary>
[GenerateSerializer, Immutable, Alias("RerankerStepCompleted")]
public sealed record RerankerStepCompleted : TrainingEvent
{
    /// <summary>Updates done.</summary>
    [Id(0)] public int Step { get; init; }

    [Id(1)] public int Updates { get; init; }

    /// <summary>The symmetric contrastive loss, in nats.</summary>
    [Id(2)] public double Loss { get; init; }

    /// <summary>The contrastive temperature: cosines are divided by it.</summary>
    [Id(3)] public double Temperature { get; init; }

    /// <summary>The gradient's norm before clipping.</summary>
    [Id(4)] public double GradientNorm { get; init; }

    [Id(5)] public double LearningRate { get; init; }

    /// <summary>Pairs of picture and caption per second.</summary>
    [Id(6)] public double PairsPerSecond { get; init; }

    /// <summary>Time to the end of the stage at the present speed.</summary>
    [Id(7)] public TimeSpan Remaining { get; init; }
}

/// <summary>The reranker was tried on held-out pictures and captions, where there are any, with its averaged weights.</summary>
[GenerateSerializer, Immutable, Alias("RerankerEvaluated")]
public sealed record RerankerEvaluated : TrainingEvent
{
    [Id(0)] public int Step { get; init; }

    /// <summary>The symmetric contrastive loss, in nats.</summary>
    [Id(1)] public double Loss { get; init; }

    /// <summary>Share of pictures whose nearest caption in their batch is their own (accuracy at 1).</summary>
    [Id(2)] public double ImageToText { get; init; }

    /// <summary>Share of captions whose nearest picture in their batch is their own (accuracy at 1).</summary>
    [Id(3)] public double TextToImage { get; init; }

    /// <summary>Pairs measured.</summary>
    [Id(4)] public int Pairs { get; init; }

    /// <summary>Pairs of a batch: chance is about 1 in as many.</summary>
    [Id(5)] public int BatchSize { get; init; }

    /// <summary>Whether the pairs were ones that training sees, because the dataset holds none out.</summary>
    [Id(6)] public bool OfTrainingPictures { get; init; }
}

/// <summary>A picture grid of reconstructions or of generations was made.</summary>
/// <param name="Stage">What made it.</param>
/// <param name="Step">Updates done.</param>
/// <param name="Png">The grid, as a PNG.</param>
[GenerateSerializer, Immutable, Alias("SampleGridReady")]
public sealed record SampleGridReady([property: Id(0)] TrainingStage Stage, [property: Id(1)] int Step, [property: Id(2)] ReadOnlyMemory<byte> Png) : TrainingEvent;

/// <summary>A checkpoint is durable and named.</summary>
[GenerateSerializer, Immutable, Alias("CheckpointWritten")]
public sealed record CheckpointWritten([property: Id(0)] CheckpointManifest Checkpoint) : TrainingEvent;

/// <summary>A checkpoint cannot be read (cut off, altered, missing), so the stage goes on from an older one. The result is the same, later.</summary>
/// <param name="Checkpoint">The one that cannot be read.</param>
/// <param name="Reason">What is wrong with it, in one line.</param>
[GenerateSerializer, Immutable, Alias("CheckpointSkipped")]
public sealed record CheckpointSkipped([property: Id(0)] CheckpointManifest Checkpoint, [property: Id(1)] string Reason) : TrainingEvent;

/// <summary>The model can be generated with.</summary>
/// <param name="Model">Its name in the catalog.</param>
[GenerateSerializer, Immutable, Alias("ModelPublished")]
public sealed record ModelPublished([property: Id(0)] string Model) : TrainingEvent;

/// <summary>A sample has been damaged since it was imported; another one stands in for it, and training goes on.</summary>
/// <param name="Stage">The stage that read it.</param>
/// <param name="Sample">The damaged sample's number in the dataset.</param>
/// <param name="StandIn">The sample read in its place.</param>
/// <param name="Reason">What is wrong, in one line.</param>
[GenerateSerializer, Immutable, Alias("SampleReplaced")]
public sealed record SampleReplaced(
    [property: Id(0)] TrainingStage Stage, [property: Id(1)] int Sample, [property: Id(2)] int StandIn, [property: Id(3)] string Reason) : TrainingEvent;

/// <summary>A membership epoch has begun: the workers are on these silos from now on.</summary>
/// <param name="Epoch">The membership epoch.</param>
/// <param name="Silos">The silos that host workers, as <c>address:port</c>; the first one leads.</param>
/// <param name="FromStep">Updates done when it began.</param>
/// <param name="Cause">Why the workers are placed anew, in one line.</param>
/// <param name="Seconds">Time since that was noticed.</param>
[GenerateSerializer, Immutable, Alias("WorkersPlaced")]
public sealed record WorkersPlaced(
    [property: Id(0)] long Epoch, [property: Id(1)] IReadOnlyList<string> Silos, [property: Id(2)] int FromStep, [property: Id(3)] string Cause, [property: Id(4)] double Seconds) : TrainingEvent;
