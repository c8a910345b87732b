using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Workers.Models;
using TorchSharp;

namespace Dalle.Workers.Tests.Training;

/// <summary>The reranker's stage through a real worker in a silo, and what becomes of its weights.</summary>
public sealed class RerankerStageTests(WorkerCluster cluster) : IClassFixture<WorkerCluster>
{
    private static int _jobs;

    private readonly string _job = $"reranker-{Interlocked.Increment(ref _jobs)}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stage_ReportsItsUpdates_AndMeasuresHeldOutPairs()
    {
        await RunBefore();

        var reports = await Run(TrainingStage.Reranker);

        var events = reports.OfType<ProgressReport>().Select(report => report.Event).ToArray();
        Assert.Equal(new StageStarted(TrainingStage.Reranker, 0, 25), events[0]);
        var last = events.OfType<RerankerStepCompleted>().Last();
        Assert.Equal((25, 25), (last.Step, last.Updates));
        Assert.InRange(last.Loss, 0.1, 5);
        Assert.InRange(last.Temperature, 0.05, 0.1);
        Assert.All(events.OfType<RerankerEvaluated>(), measured => Assert.Equal((256, 32, false), (measured.Pairs, measured.BatchSize, measured.OfTrainingPictures)));
        Assert.Equal([6, 12, 18, 24, 25], events.OfType<RerankerEvaluated>().Select(measured => measured.Step));
        Assert.Equal([5, 10, 15, 20], reports.OfType<CheckpointReport>().Select(report => report.Checkpoint.Step));
        Assert.Equal(new DoneReport(), reports[^1]);
    }

    [Fact]
    public async Task Stage_StoppedAndResumed_EndsWithTheSameBytes()
    {
        await RunBefore();
        await Run(TrainingStage.Reranker);
        var undisturbed = Weights();
        File.Delete(PathOf("reranker.safetensors"));

        var stopped = await Run(TrainingStage.Reranker, epoch: 2, observe: report =>
            report is CheckpointReport { Checkpoint.Step: 5 } ? cluster.Worker(_job).Stop(2, cancellationToken: Token) : Task.CompletedTask);
        var checkpoint = Assert.IsType<CheckpointReport>(stopped.FindLast(report => report is CheckpointReport)).Checkpoint;
        Assert.Equal(new StoppedReport(), stopped[^1]);
        await Run(TrainingStage.Reranker, epoch: 3, change: lease => lease with { Checkpoint = checkpoint });

        Assert.Equal(undisturbed, Weights());
    }

    [Fact]
    public async Task Stage_OfAJobWithoutAReranker_IsDoneAtOnce_AndNothingIsOpenedAhead()
    {
        var lease = Without(cluster.Lease(TrainingStage.Reranker));

        await cluster.Worker(_job).Prepare(lease, Token);

        Assert.Equal([new DoneReport()], await cluster.Run(_job, lease, null, Token));
        Assert.False(File.Exists(PathOf("reranker.safetensors")));
    }

    [Fact]
    public async Task Model_IsPublishedWithItsReranker_WhichIsReadBack()
    {
        await RunBefore();
        await RunTheOthers();
        await Run(TrainingStage.Reranker);

        var model = await Publish(lease => lease with { Metrics = new Dictionary<string, double> { ["imageToText"] = 0.5 } });

        Assert.Equal(["dvae.safetensors", "merges.txt", "model.json", "prior.safetensors", "reranker.safetensors", "vocab.json"], model.Files.Keys.Select(Plain).Order(StringComparer.Ordinal));
        ModelFolder.Verify(cluster.Store, model);
        Assert.Contains("\"imageToText\": 0.5", await File.ReadAllTextAsync(cluster.Store.PathOf($"{model.Path}/model.json"), Token), StringComparison.Ordinal);
        using var reranker = LoadedReranker.Read(cluster.Store, model, torch.CPU);
        var picture = new Dalle.Data.Scenes.SceneDataset().ReadPicture(1);
        var scores = reranker!.Score([picture, picture], "a large red circle");
        Assert.Equal(scores[0], scores[1]);
        Assert.InRange(scores[0], -1, 1);
        Assert.NotEqual(scores[0], reranker.Score([picture], "a small blue square")[0]);
        Assert.Equal(scores[0], reranker.Measure([("a large red circle", picture)]).Score, 5);
    }

    [Fact]
    public async Task Model_OfAJobWithoutAReranker_IsPublishedAndReadWithoutOne()
    {
        await RunBefore();
        await RunTheOthers();

        var model = await Publish(Without);

        Assert.DoesNotContain("reranker.safetensors", model.Files.Keys);
        ModelFolder.Verify(cluster.Store, model);
        Assert.Null(ModelFolder.ReadConfig(cluster.Store, model).Reranker);
        Assert.Null(LoadedReranker.Read(cluster.Store, model, torch.CPU));
    }

    // The tokenizer's two files have names of their own, which are not what this is about.
    private static string Plain(string file) => file.EndsWith(".txt", StringComparison.Ordinal) ? "merges.txt" : file is "model.json" || file.EndsWith(".safetensors", StringComparison.Ordinal) ? file : "vocab.json";

    private static StageLease Without(StageLease lease) => lease with { Spec = lease.Spec with { RerankerUpdates = 0 } };

    private async Task RunBefore()
    {
        await Run(TrainingStage.Prepare);
        await Run(TrainingStage.Tokenizer);
    }

    private async Task RunTheOthers()
    {
        await Run(TrainingStage.DiscreteVae);
        await Run(TrainingStage.Encode);
        await Run(TrainingStage.Prior);
    }

    private async Task<ModelManifest> Publish(Func<StageLease, StageLease> change) =>
        Assert.IsType<DoneReport>((await Run(TrainingStage.Publish, change: lease => change(lease) with { Spec = change(lease).Spec with { Model = _job } }))[^1]).Model!;

    private async Task<List<WorkerReport>> Run(TrainingStage stage, long epoch = 1, Func<WorkerReport, Task>? observe = null, Func<StageLease, StageLease>? change = null)
    {
        var lease = cluster.Lease(stage, epoch);
        return await cluster.Run(_job, change?.Invoke(lease) ?? lease, observe, Token);
    }

    private string PathOf(string file) => cluster.Store.PathOf($"jobs/{_job}/{file}");

    private byte[] Weights() => File.ReadAllBytes(PathOf("reranker.safetensors"));
}
