using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Whole jobs in a cluster of two silos, with a worker that does what the test says.</summary>
public sealed class TrainingJobGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static int _jobs;

    private readonly string _job = $"job-{Interlocked.Increment(ref _jobs)}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private TrainingSpec Spec => new() { Preset = "test", Dataset = "scenes", Model = $"model-of-{_job}", Seed = 1 };

    private WorkerScript Script => WorkerScripts.Of(_job);

    private ITrainingJobGrain Job => cluster.Grains.GetGrain<ITrainingJobGrain>(_job);

    [Fact]
    public async Task Job_RunsTheStagesInOrder_AndPublishesTheModel()
    {
        await Job.Start(Spec, Token);
        Script.Say(new ProgressReport(new StageAdvanced(TrainingStage.Prepare, 9, 9)));
        Done(TrainingStage.Prepare);
        Done(TrainingStage.Tokenizer);
        Script.Say(new ProgressReport(new StageStarted(TrainingStage.DiscreteVae, 0, 20)), Checkpoint(TrainingStage.DiscreteVae, 10), Evaluated(psnr: 21));
        Done(TrainingStage.DiscreteVae);
        Done(TrainingStage.Encode);
        Script.Say(new ProgressReport(new PriorStepCompleted { Step = 30, Updates = 30, ImageLoss = 2.5 }));
        Done(TrainingStage.Prior);
        Done(TrainingStage.Publish);

        var events = await Watch();

        Assert.Equal(
            "Running, Prepare 9/9, Prepare done, Tokenizer done, DiscreteVae from 0, checkpoint 10, psnr 21, DiscreteVae done, Encode done, "
            + $"prior 30, Prior done, Publish done, published {Spec.Model}, Completed",
            Text(events));
        Assert.Equal(Enum.GetValues<TrainingStage>(), Script.Leases.Select(lease => lease.Stage));
        Assert.Equal([1, 2, 3, 4, 5, 6], Script.Leases.Select(lease => lease.Epoch));
        Assert.All(Script.Leases, lease => Assert.Equal((Spec, null), (lease.Spec, lease.Checkpoint)));
        Assert.Equal((21, 2.5), (Script.Leases.Last().Metrics["psnr"], Script.Leases.Last().Metrics["imageLoss"]));
        Assert.Equal(Spec.Model, (await cluster.Grains.GetGrain<IModelCatalogGrain>(0).Get(Spec.Model, Token)).Name);
        var status = await Job.GetStatus(Token);
        Assert.Equal((TrainingPhase.Completed, TrainingStage.Publish, null, null), (status.Phase, status.Stage, status.Checkpoint, status.Failure));
        Assert.Equal(Enum.GetValues<TrainingStage>(), status.StageSeconds.Keys.Order());
        Assert.Contains(_job, await cluster.Grains.GetGrain<IClusterGrain>(0).ListJobs(Token));
    }

    [Theory]
    [InlineData(TrainingStage.Prepare)]
    [InlineData(TrainingStage.DiscreteVae)]
    [InlineData(TrainingStage.Prior)]
    [InlineData(TrainingStage.Publish)]
    public async Task Pause_ThenResume_GoesOnWithTheStage_FromTheCheckpointOfThePause(TrainingStage stage)
    {
        await StartAt(stage);
        Script.LastWords = [Checkpoint(stage, 7)];

        await Job.Pause(Token);
        await Job.Pause(Token);
        var paused = await Job.GetStatus(Token);
        Assert.Equal("checkpoint 7, Paused (paused on request)", Text((await Watch())[^2..]));

        await Job.Resume(Token);
        var resumed = await Script.NextLease(Token);
        DoneFrom(stage);
        await Watch();

        Assert.Equal((TrainingPhase.Paused, stage, 7), (paused.Phase, paused.Stage, paused.Step));
        Assert.Equal((stage, Checkpoint(stage, 7).Checkpoint), (resumed.Stage, resumed.Checkpoint));
        Assert.Equal(Script.Leases.Select(lease => lease.Epoch).Distinct().Order(), Script.Leases.Select(lease => lease.Epoch));
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Theory]
    [InlineData(TrainingStage.Prepare)]
    [InlineData(TrainingStage.Encode)]
    [InlineData(TrainingStage.Prior)]
    public async Task Cancel_LetsTheWorkerGo_AndGivesUpItsFiles(TrainingStage stage)
    {
        await StartAt(stage);

        await Job.Cancel(Token);
        await Job.Cancel(Token);

        await Script.NextLetGo(Token);
        await Script.Discarded.Task.WaitAsync(Token);
        Assert.Equal("Cancelled", Text((await Watch())[^1..]));
        Assert.Equal((TrainingPhase.Cancelled, stage), ((await Job.GetStatus(Token)).Phase, (await Job.GetStatus(Token)).Stage));
        await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Resume(Token));
        await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Pause(Token));
    }

    [Fact]
    public async Task Cancel_OfAPausedJob_EndsIt()
    {
        await StartAt(TrainingStage.DiscreteVae);
        await Job.Pause(Token);

        await Job.Cancel(Token);

        await Script.Discarded.Task.WaitAsync(Token);
        Assert.EndsWith("Paused (paused on request), Cancelled", Text(await Watch()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Job_WhoseActivationIsGone_GoesOnFromTheCheckpoint_WithANewLease()
    {
        await StartAt(TrainingStage.DiscreteVae);
        var watch = Job.Watch(0, Token).GetAsyncEnumerator(Token);
        Script.Say(Checkpoint(TrainingStage.DiscreteVae, 10));
        while (await watch.MoveNextAsync() && watch.Current is not CheckpointWritten)
        {
        }

        var last = watch.Current.Sequence;
        await watch.DisposeAsync();
        await cluster.EndActivations(Token);
        Assert.Equal(3, await Script.NextLetGo(Token));
        await Job.Wake(Token);
        var lease = await Script.NextLease(Token);
        DoneFrom(TrainingStage.DiscreteVae);
        var events = await Watch(last);

        Assert.Equal((4, Checkpoint(TrainingStage.DiscreteVae, 10).Checkpoint), (lease.Epoch, lease.Checkpoint));
        Assert.StartsWith("DiscreteVae done", Text(events), StringComparison.Ordinal);
        Assert.All(events, item => Assert.True(item.Sequence > last));
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Fact]
    public async Task Status_OfAJobAtRest_OutlivesItsActivation()
    {
        await StartAt(TrainingStage.DiscreteVae);
        Script.Say(Evaluated(psnr: 21));
        Script.Say(new FailedReport("no such dataset"));
        await Watch();
        var before = await Job.GetStatus(Token);

        await cluster.EndActivations(Token);
        var after = await Job.GetStatus(Token);

        Assert.Equal((TrainingPhase.Failed, "no such dataset", 21), (after.Phase, after.Failure, after.Reconstruction!.Psnr));
        Assert.Equal(before with { StageSeconds = after.StageSeconds }, after);
        Assert.Equal(before.StageSeconds, after.StageSeconds);
        Assert.Equal(3, Script.Leases.Count);
    }

    [Fact]
    public async Task Job_WhoseWorkerSaysThatItCannotGoOn_FailsWithItsReason_AndIsNotTriedAgain()
    {
        await StartAt(TrainingStage.DiscreteVae);
        Script.Say(Checkpoint(TrainingStage.DiscreteVae, 10), new FailedReport("the shard has changed"));

        Assert.EndsWith("checkpoint 10, Failed (the shard has changed)", Text(await Watch()), StringComparison.Ordinal);
        Assert.Equal((TrainingPhase.Failed, "the shard has changed"), ((await Job.GetStatus(Token)).Phase, (await Job.GetStatus(Token)).Failure));
        Assert.Equal(3, Script.Leases.Count);

        await Job.Resume(Token);
        var resumed = await Script.NextLease(Token);
        Assert.Equal(10, resumed.Checkpoint!.Step);
        Assert.Null((await Job.GetStatus(Token)).Failure);
        DoneFrom(TrainingStage.DiscreteVae);
        await Watch();
    }

    [Fact]
    public async Task Job_WhoseWorkerIsLostAgainAndAgain_FailsAfterFiveTries()
    {
        await StartAt(TrainingStage.Encode);
        for (var i = 1; i <= 5; i++)
        {
            Script.Break($"loss {i}");
        }

        Assert.EndsWith("Failed (Encode was tried 5 times without progress: loss 5)", Text(await Watch()), StringComparison.Ordinal);
        Assert.Equal(3 + 5, Script.Leases.Count);
    }

    [Fact]
    public async Task Job_WhoseWorkerIsLost_IsTriedFiveTimesFromEachCheckpoint()
    {
        await StartAt(TrainingStage.Prior);
        for (var i = 1; i <= 4; i++)
        {
            Script.Break("loss before the checkpoint");
        }

        Script.Say(Checkpoint(TrainingStage.Prior, 10));
        for (var i = 1; i <= 5; i++)
        {
            // How far a try came is no progress: the next one begins at the checkpoint again.
            Script.Say(new ProgressReport(new PriorStepCompleted { Step = 10 + i, Updates = 30 }));
            Script.Break("loss after the checkpoint");
        }

        Assert.EndsWith("prior 15, Failed (Prior was tried 5 times without progress: loss after the checkpoint)", Text(await Watch()), StringComparison.Ordinal);
        Assert.Equal([.. Enumerable.Repeat<int?>(null, 5), 10, 10, 10, 10], Script.Leases.Where(lease => lease.Stage == TrainingStage.Prior).Select(lease => lease.Checkpoint?.Step));
    }

    /// <summary>Starts the job and lets it come to the worker's lease of a stage.</summary>
    private async Task StartAt(TrainingStage stage)
    {
        await Job.Start(Spec, Token);
        for (var before = TrainingStage.Prepare; before < stage; before++)
        {
            Done(before);
        }

        while ((await Script.NextLease(Token)).Stage != stage)
        {
        }
    }

    private void DoneFrom(TrainingStage first)
    {
        for (var stage = first; stage <= TrainingStage.Publish; stage++)
        {
            Done(stage);
        }
    }

    private void Done(TrainingStage stage) => Script.Say(new DoneReport(stage != TrainingStage.Publish ? null : new ModelManifest
    {
        Name = Spec.Model, Preset = "test", Path = $"models/{Spec.Model}", Published = DateTimeOffset.UnixEpoch, ImageSize = 8, GridSize = 2, Parameters = 1,
    }));

    private CheckpointReport Checkpoint(TrainingStage stage, int step) => new(new CheckpointManifest(stage, step, $"jobs/{_job}/checkpoints/{stage}/{step}"));

    private static ProgressReport Evaluated(double psnr) => new(new DiscreteVaeEvaluated { Step = 10, Psnr = psnr });

    private async Task<List<TrainingEvent>> Watch(long after = 0) => await Job.Watch(after, Token).ToListAsync(Token);

    private static string Text(IEnumerable<TrainingEvent> events) => string.Join(", ", events.Select(item => item switch
    {
        PhaseChanged e => e.Reason is null ? $"{e.Phase}" : $"{e.Phase} ({e.Reason})",
        StageStarted e => $"{e.Stage} from {e.FromStep}",
        StageAdvanced e => $"{e.Stage} {e.Done}/{e.Total}",
        StageCompleted e => $"{e.Stage} done",
        DiscreteVaeEvaluated e => $"psnr {e.Psnr}",
        PriorStepCompleted e => $"prior {e.Step}",
        CheckpointWritten e => $"checkpoint {e.Checkpoint.Step}",
        ModelPublished e => $"published {e.Model}",
        _ => item.GetType().Name,
    }));
}
