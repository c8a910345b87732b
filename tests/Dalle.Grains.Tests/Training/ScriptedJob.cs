using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>A job of its own for each test, in a cluster of two silos, with a worker that does what the test says.</summary>
public abstract class ScriptedJob(GrainCluster cluster) : IClassFixture<GrainCluster>, IDisposable
{
    private static int _jobs;

    // Longer than any of these takes: a job that never comes to rest then fails by name instead of holding up all others.
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromMinutes(1));

    protected GrainCluster Cluster => cluster;

    protected string JobId { get; } = $"job-{Interlocked.Increment(ref _jobs)}";

    protected CancellationToken Token => _deadline.Token;

    protected TrainingSpec Spec => new() { Preset = "test", Dataset = "scenes", Model = $"model-of-{JobId}", Seed = 1 };

    protected WorkerScript Script => WorkerScripts.Of(JobId);

    protected ITrainingJobGrain Job => Cluster.Grains.GetGrain<ITrainingJobGrain>(JobId);

    public void Dispose()
    {
        _deadline.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts the job and lets it come to the worker's lease of a stage.</summary>
    protected async Task StartAt(TrainingStage stage)
    {
        await Job.Start(Spec, Token);
        foreach (var before in TrainingStages.InOrder.TakeWhile(before => before != stage))
        {
            Done(before);
        }

        while ((await Script.NextLease(Token)).Stage != stage)
        {
        }
    }

    protected void DoneFrom(TrainingStage first)
    {
        foreach (var stage in TrainingStages.InOrder.SkipWhile(stage => stage != first))
        {
            Done(stage);
        }
    }

    protected void Done(TrainingStage stage) => Script.Say(new DoneReport(stage != TrainingStage.Publish ? null : new ModelManifest
    {
        Name = Spec.Model, Preset = "test", Path = $"models/{Spec.Model}", Published = DateTimeOffset.UnixEpoch, ImageSize = 8, GridSize = 2, Parameters = 1,
    }));

    protected CheckpointReport Checkpoint(TrainingStage stage, int step) => new(new CheckpointManifest(stage, step, $"jobs/{JobId}/checkpoints/{stage}/{step}"));

    protected static ProgressReport Evaluated(double psnr) => new(new DiscreteVaeEvaluated { Step = 10, Psnr = psnr });

    protected static WorkerReport[] Steps(int first, int last) =>
        [.. Enumerable.Range(first, last - first + 1).Select(step => new ProgressReport(new PriorStepCompleted { Step = step, Updates = 1000 }))];

    protected async Task<List<TrainingEvent>> Watch(long after = 0) => await Job.Watch(after, Token).ToListAsync(Token);

    protected static string Text(IEnumerable<TrainingEvent> events) => string.Join(", ", events.Select(item => item switch
    {
        PhaseChanged e => e.Reason is null ? $"{e.Phase}" : $"{e.Phase} ({e.Reason})",
        StageStarted e => $"{e.Stage} from {e.FromStep}",
        StageAdvanced e => $"{e.Stage} {e.Done}/{e.Total}",
        StageCompleted e => $"{e.Stage} done",
        DiscreteVaeEvaluated e => $"psnr {e.Psnr}",
        PriorStepCompleted e => $"prior {e.Step}",
        RerankerStepCompleted e => $"reranker {e.Step}",
        RerankerEvaluated e => $"found {e.ImageToText}",
        CheckpointWritten e => $"checkpoint {e.Checkpoint.Step}",
        ModelPublished e => $"published {e.Model}",
        _ => item.GetType().Name,
    }));
}
