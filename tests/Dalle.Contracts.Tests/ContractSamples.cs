using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Keys;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests;

/// <summary>One value of every contract type, with no field left at its default.</summary>
internal static class ContractSamples
{
    public static TrainingSpec Spec { get; } = new()
    {
        Preset = "tiny", Dataset = "scenes", Model = "my-model", Seed = ulong.MaxValue, DiscreteVaeUpdates = 3, PriorUpdates = 4, CheckpointEvery = 5,
        KeepCheckpoints = 6, ThreadsPerWorker = 7, Replicas = 8, Shards = 9, CompressionRank = 10, Recovery = RecoveryMode.Continue, RerankerUpdates = 11,
    };

    public static CheckpointManifest Checkpoint { get; } = new(TrainingStage.Prior, 500, "jobs/a/prior-500");

    private static DateTimeOffset At { get; } = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static DiscreteVaeStepCompleted DiscreteVae { get; } = new()
    {
        Sequence = 1, At = At, Step = 2, Updates = 3, Loss = 4, Reconstruction = 5, Kl = 6, KlWeight = 7, Tau = 8, LearningRate = 9, Perplexity = 10,
        PicturesPerSecond = 11, Remaining = TimeSpan.FromSeconds(12),
    };

    private static DiscreteVaeEvaluated Reconstruction { get; } = new() { Sequence = 1, At = At, Step = 2, Psnr = 26.5, Perplexity = 4, CodesInUse = 5, CodebookSize = 6, OfTrainingPictures = true };

    private static PriorStepCompleted Prior { get; } = new()
    {
        Sequence = 1, At = At, Step = 2, Updates = 3, Loss = 4, TextLoss = 5, ImageLoss = 6, GradientNorm = 7, LearningRate = 8, TokensPerSecond = 9,
        Remaining = TimeSpan.FromSeconds(10), SmallestGradientScale = 11, LargestGradientScale = 12, SkippedUpdates = 13,
    };

    private static RerankerStepCompleted Reranker { get; } = new()
    {
        Sequence = 1, At = At, Step = 2, Updates = 3, Loss = 4, Temperature = 0.05, GradientNorm = 6, LearningRate = 7, PairsPerSecond = 8, Remaining = TimeSpan.FromSeconds(9),
    };

    private static RerankerEvaluated Retrieval { get; } = new()
    {
        Sequence = 1, At = At, Step = 2, Loss = 3, ImageToText = 0.4, TextToImage = 0.5, Pairs = 6, BatchSize = 7, OfTrainingPictures = true,
    };

    private static DeviceStatus Device { get; } = new("cpu", 2, [new("a", TrainingStage.Prior, 3, "0-1/0")], 7);

    private static DataPlaneAddress Address { get; } = new("a-silo", "127.0.0.1:5", "a-machine", "/a/socket");

    private static WorkerPlacement Placement { get; } = new(3, 4, [new("a-silo", Address, 1, 2, 3, 4)]);

    private static ShardSnapshot Snapshot { get; } = new(TrainingStage.Prior, 5, [new(1, 2)]);

    private static RestorePoint RestorePoint { get; } = new(5, [new(new(1, 2), "a-silo", "another")], LostErrors: true);

    private static ModelManifest Model { get; } = new()
    {
        Name = "m", Preset = "tiny", Path = "models/m/a", Published = At, ImageSize = 32, GridSize = 8, Parameters = 9, JobId = "a",
        Metrics = new Dictionary<string, double> { ["psnr"] = 20.5 }, Files = new Dictionary<string, string> { ["prior.safetensors"] = "00ff" },
    };

    private static GenerationRequest Request { get; } = new()
    {
        Model = "m", Prompt = "a red circle", Candidates = 4, Seed = 5, Temperature = 0.5, TopK = 6, TopP = 0.7, Guidance = 2, PartialPictures = 3,
        Caller = "someone", Keep = 2, MaxWait = TimeSpan.FromSeconds(9), Completion = new() { Picture = new byte[] { 1, 2 }, Mask = new byte[] { 3 }, Share = 0.5 },
    };

    private static ApiKey Key { get; } = new("a", new() { Name = "me", Roles = [ApiRole.Train, ApiRole.Admin], Expires = At.AddDays(1), RequestsPerMinute = 2, ConcurrentRequests = 3 }, At);

    public static IReadOnlyList<TrainingEvent> TrainingEvents { get; } =
    [
        new PhaseChanged(TrainingPhase.Failed, "disk full") { Sequence = 7, At = At },
        new StageStarted(TrainingStage.Prior, 2, 3) { Sequence = 7, At = At },
        new StageAdvanced(TrainingStage.Encode, 2, 3) { Sequence = 7, At = At },
        new StageCompleted(TrainingStage.Prior, 2.5) { Sequence = 7, At = At },
        DiscreteVae,
        Reconstruction,
        Prior,
        Reranker,
        Retrieval,
        new SampleGridReady(TrainingStage.Prior, 2, new byte[] { 1, 2, 3 }) { Sequence = 7, At = At },
        new CheckpointWritten(Checkpoint) { Sequence = 7, At = At },
        new CheckpointSkipped(Checkpoint, "the file is cut off") { Sequence = 7, At = At },
        new ModelPublished("m") { Sequence = 7, At = At },
        new SampleReplaced(TrainingStage.Encode, 2, 3, "not what it was") { Sequence = 7, At = At },
        new WorkersPlaced(2, ["127.0.0.1:5"], 3, "a silo has joined", 4.5) { Sequence = 7, At = At },
    ];

    public static IReadOnlyList<GenerationEvent> GenerationEvents { get; } =
    [
        new GenerationStarted(8, 32, 5, 64) { Sequence = 7 },
        new RowSampled(1, 2, [3, 4]) { Sequence = 7 },
        new PartialPicture(1, 2, new byte[] { 1, 2, 3 }) { Sequence = 7 },
        new PictureCompleted(1, [3, 4], new byte[] { 1, 2, 3 }, 0.25) { Sequence = 7 },
        new GenerationCompleted(64, 1.5, [1, 0]) { Sequence = 7 },
    ];

    public static IReadOnlyList<object> Messages { get; } =
    [
        .. TrainingEvents,
        .. GenerationEvents,
        Spec,
        Checkpoint,
        Model,
        Request,
        new TrainingStatus
        {
            JobId = "a", Spec = Spec, Phase = TrainingPhase.Failed, Stage = TrainingStage.Prior, Step = 4, Updates = 5, Checkpoint = Checkpoint, Failure = "disk full",
            Submitted = At, DiscreteVae = DiscreteVae, Reconstruction = Reconstruction, Prior = Prior, Reranker = Reranker, Retrieval = Retrieval,
            StageSeconds = new Dictionary<TrainingStage, double> { [TrainingStage.Encode] = 1.5 },
        },
        new StageLease { Epoch = 3, Stage = TrainingStage.Prior, Spec = Spec, Checkpoint = Checkpoint, Metrics = new Dictionary<string, double> { ["psnr"] = 20.5 }, Placement = Placement, Snapshot = RestorePoint },
        Placement,
        Placement.Hosts[0],
        Address,
        new ShardHoldings(Address, 2, true, [Snapshot]),
        Snapshot,
        Snapshot.Pieces[0],
        new WorkerCounts(2, 3),
        RestorePoint,
        RestorePoint.Transfers[0],
        new ProgressReport(Prior),
        new CheckpointReport(Checkpoint),
        new DoneReport(Model),
        new StoppedReport(Leaving: true),
        new PeerLostReport("a-silo", true, "closed"),
        new FailedReport("disk full"),
        new SiloPlacement(),
        new SiloReport("127.0.0.1:5", Device),
        Device,
        Device.Stages[0],
        Request.Completion!,
        new SampleRequest(Request, Model, [[1, 2], [3, 4]], [5, 6]),
        new GeneratorLoad(1, 2, true, 3, TimeSpan.FromSeconds(4)),
        new SamplingStarted(5, [5, 6]),
        new RowsSampled([[1, 2], [3, 4]]),
        new PartialDecoded(1, 2, new byte[] { 1, 2, 3 }),
        new PictureDecoded(1, new byte[] { 1, 2, 3 }, 0.25),
        Key.Spec,
        Key,
        new StoredApiKey(Key, "00ff"),
        new ApiKeySet(2, [new(Key, "00ff")]),
        new GenerationStatus(GenerationPhase.Failed, Request, 3, "gone"),
    ];

    public static IReadOnlyList<Exception> Errors { get; } =
    [
        new InvalidRequestException("what came", "Seed"),
        new NotFoundException("no such job"),
        new OverloadedException("full", TimeSpan.FromSeconds(3)),
        new StaleLeaseException(1, 2),
        new GenerationFailedException("no generator"),
    ];
}
