using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Whole jobs in a cluster of two silos, with a worker that does what the test says.</summary>
public sealed class TrainingJobGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>, IDisposable
{
    private static int _jobs;

    // Longer than any of these takes: a job that never comes to rest then fails by name instead of holding up all others.
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromMinutes(1));

    private readonly string _job = $"job-{Interlocked.Increment(ref _jobs)}";

    private CancellationToken Token => _deadline.Token;

    private TrainingSpec Spec => new() { Preset = "test", Dataset = "scenes", Model = $"model-of-{_job}", Seed = 1 };

    private WorkerScript Script => WorkerScripts.Of(_job);

    private ITrainingJobGrain Job => cluster.Grains.GetGrain<ITrainingJobGrain>(_job);

    public void Dispose() => _deadline.Dispose();

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

    [Fact]
    public async Task Job_WhoseWorkerStopsUnasked_IsLeasedAgain_FromWhatItSaved()
    {
        await StartAt(TrainingStage.DiscreteVae);
        Script.Say(Checkpoint(TrainingStage.DiscreteVae, 12), new StoppedReport());
        var lease = await Script.NextLease(Token);
        DoneFrom(TrainingStage.DiscreteVae);

        Assert.EndsWith("Completed", Text(await Watch()), StringComparison.Ordinal);
        Assert.Equal((TrainingStage.DiscreteVae, 12), (lease.Stage, lease.Checkpoint!.Step));
    }

    [Fact]
    public async Task Pause_WhileALostWorkerIsWaitedFor_PausesBeforeTheNextTry()
    {
        cluster.Clock.Hold();
        await StartAt(TrainingStage.DiscreteVae);
        Script.Break("lost");
        var goOn = await cluster.Clock.NextHeld(Token);
        var pausing = Job.Pause(Token);
        await Script.NextStop(Token);
        cluster.Clock.Go();
        goOn();
        await pausing;

        Assert.Equal(TrainingPhase.Paused, (await Job.GetStatus(Token)).Phase);
        Assert.Equal(3, Script.Leases.Count);
    }

    [Fact]
    public async Task Resume_AsSoonAsThePauseIsTold_GoesOn()
    {
        await StartAt(TrainingStage.Tokenizer);
        var resuming = Task.Run(
            async () =>
            {
                await foreach (var item in Job.Watch(0, Token).WithBatchSize(1))
                {
                    if (item is PhaseChanged { Phase: TrainingPhase.Paused })
                    {
                        await Job.Resume(Token);
                        break;
                    }
                }
            },
            Token);
        await Job.Pause(Token);
        await resuming;

        Assert.Equal(TrainingStage.Tokenizer, (await Script.NextLease(Token)).Stage);
        DoneFrom(TrainingStage.Tokenizer);
        await Watch();
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Fact]
    public async Task Start_Again_ChangesNothing_AndAnotherSpecIsRefusedByName()
    {
        await StartAt(TrainingStage.Tokenizer);

        await Job.Start(Spec with { }, Token);
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Start(Spec with { Seed = 2 }, Token));

        Assert.Contains("with seed 1", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, Script.Leases.Count);
        DoneFrom(TrainingStage.Tokenizer);
        Assert.Single((await Watch()).OfType<PhaseChanged>(), item => item.Phase == TrainingPhase.Running);
    }

    [Fact]
    public async Task Start_WithSeveralSpecsAtOnce_TakesOne_AndRefusesTheOthers()
    {
        var asked = Enumerable.Range(0, 8).Select(seed => Spec with { Seed = (ulong)seed }).ToArray();
        var refused = await Task.WhenAll(asked.Select(spec => Record.ExceptionAsync(() => Job.Start(spec, Token)).AsTask()));
        DoneFrom(TrainingStage.Prepare);
        await Watch();

        var taken = asked[Array.IndexOf(refused, null)];
        Assert.Equal(7, refused.OfType<InvalidRequestException>().Count());
        Assert.All(Script.Leases, lease => Assert.Equal(taken, lease.Spec));
        Assert.Equal(6, Script.Leases.Count);
    }

    [Fact]
    public async Task Job_ThatWasNeverStarted_IsNotFound_AndABadSpecIsRefusedByField()
    {
        await Assert.ThrowsAsync<NotFoundException>(() => Job.GetStatus(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Pause(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Resume(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Cancel(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Watch());
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Start(Spec with { PriorUpdates = 0 }, Token));

        Assert.Equal("PriorUpdates", error.Parameter);
        Assert.DoesNotContain(_job, await cluster.Grains.GetGrain<IClusterGrain>(0).ListJobs(Token));
    }

    [Fact]
    public async Task Job_WhoseCheckpointCannotBeStored_IsTriedAgain_AndGoesOn()
    {
        await StartAt(TrainingStage.DiscreteVae);
        cluster.Stored.FailNextWrite(_job);
        Script.Say(Checkpoint(TrainingStage.DiscreteVae, 10));
        var again = await Script.NextLease(Token);
        DoneFrom(TrainingStage.DiscreteVae);
        await Watch();

        Assert.Null(again.Checkpoint);
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Fact]
    public async Task Job_WhoseActivationIsBehindTheStore_EndsIt_AndTheNextGoesOnFromWhatIsStored()
    {
        await StartAt(TrainingStage.DiscreteVae);
        cluster.Stored.LoseNextAnswer(_job);
        Script.Say(Checkpoint(TrainingStage.DiscreteVae, 10));
        Assert.Equal(3, await Script.NextLetGo(Token));
        StageLease lease;
        do
        {
            await Job.Wake(Token);
        }
        while (!Script.TryNextLease(out lease!));
        DoneFrom(TrainingStage.DiscreteVae);
        await Watch();

        Assert.Equal(10, lease.Checkpoint!.Step);
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Fact]
    public async Task Cancel_WhoseFilesCouldNotBeDeleted_DeletesThemWhenRepeated()
    {
        await StartAt(TrainingStage.Encode);
        Script.FailNextDiscard();

        await Assert.ThrowsAsync<IOException>(() => Job.Cancel(Token));
        Assert.Equal("Cancelled", Text((await Watch())[^1..]));
        await Job.Cancel(Token);

        await Script.Discarded.Task.WaitAsync(Token);
        Assert.Equal(TrainingPhase.Cancelled, (await Job.GetStatus(Token)).Phase);
    }

    [Fact]
    public async Task Cancel_WhileTheFailureIsBeingStored_StaysCancelled()
    {
        await StartAt(TrainingStage.Tokenizer);
        var held = cluster.Stored.HoldNextWrite(_job);
        Script.Say(new FailedReport("disk full"));
        var failing = await held.ReadAsync(Token);
        var cancelling = Job.Cancel(Token);
        while ((await Job.GetStatus(Token)).Phase != TrainingPhase.Cancelled)
        {
        }

        failing.SetResult();
        await cancelling;
        await cluster.EndActivations(Token);

        Assert.Equal(TrainingPhase.Cancelled, (await Job.GetStatus(Token)).Phase);
        Assert.True(Script.Discarded.Task.IsCompleted);
    }

    [Fact]
    public async Task Cancel_OfACompletedJob_IsRefused_AndItsFilesStay()
    {
        await StartAt(TrainingStage.Prepare);
        DoneFrom(TrainingStage.Prepare);
        await Watch();

        await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Cancel(Token));

        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
        Assert.False(Script.Discarded.Task.IsCompleted);
    }

    [Fact]
    public async Task Pause_AsAStageEnds_RestsBeforeTheNextOne()
    {
        await StartAt(TrainingStage.Tokenizer);
        var held = cluster.Stored.HoldNextWrite(_job);
        Script.Say(new DoneReport());
        var completing = await held.ReadAsync(Token);
        var pausing = Job.Pause(Token);
        await Script.NextStop(Token);
        completing.SetResult();
        await pausing;

        var status = await Job.GetStatus(Token);
        Assert.Equal((TrainingPhase.Paused, TrainingStage.DiscreteVae), (status.Phase, status.Stage));
        Assert.Equal(2, Script.Leases.Count);
    }

    [Fact]
    public async Task Watch_ThatComesWhileTheEndIsBeingStored_IsToldTheEnd()
    {
        await StartAt(TrainingStage.Tokenizer);
        var held = cluster.Stored.HoldNextWrite(_job);
        Script.Say(new FailedReport("disk full"));
        var failing = await held.ReadAsync(Token);
        await using var watch = Job.Watch(0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        var events = new List<TrainingEvent>();
        while (events.Count < 2 && await watch.MoveNextAsync())
        {
            events.Add(watch.Current);
        }

        var last = watch.MoveNextAsync().AsTask();
        await Job.GetStatus(Token);
        failing.SetResult();

        Assert.True(await last);
        Assert.Equal("Running, Prepare done, Failed (disk full)", Text([.. events, watch.Current]));
    }

    [Fact]
    public async Task Watch_Late_SlowOrCutOff_MissesNothing()
    {
        await StartAt(TrainingStage.Prior);
        var early = Watch();
        Script.Say(Steps(1, 40));
        await Job.Watch(0, Token).FirstAsync(item => item is PriorStepCompleted { Step: 40 }, Token);

        // A reader that took three events and was cut off.
        var cut = new List<TrainingEvent>();
        await foreach (var item in Job.Watch(0, Token).WithBatchSize(1))
        {
            cut.Add(item);
            if (cut.Count == 3)
            {
                break;
            }
        }

        // A reader that takes one event and then none until the job has come to its end.
        await using var slow = Job.Watch(0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        Assert.True(await slow.MoveNextAsync());
        var slowly = new List<TrainingEvent> { slow.Current };
        Script.Say(Steps(41, 100));
        DoneFrom(TrainingStage.Prior);
        var whole = await early;
        while (await slow.MoveNextAsync())
        {
            slowly.Add(slow.Current);
        }

        cut.AddRange(await Watch(cut[^1].Sequence));
        Assert.Equal([.. Enumerable.Range(1, 100)], whole.OfType<PriorStepCompleted>().Select(item => item.Step));
        Assert.EndsWith("Completed", Text(whole), StringComparison.Ordinal);
        Assert.Equal(whole, await Watch());
        Assert.Equal(whole, slowly);
        Assert.Equal(whole, cut);
        Assert.Equal(whole.Select(item => item.Sequence).Distinct().Order(), whole.Select(item => item.Sequence));
        Assert.Empty(await Watch(whole[^1].Sequence));
    }

    [Fact]
    public async Task Watch_OfManyEvents_KeepsTheNewest()
    {
        await StartAt(TrainingStage.Prior);
        Script.Say(Steps(1, 600));
        DoneFrom(TrainingStage.Prior);
        await Watch();

        var events = await Watch();

        Assert.Equal(512, events.Count);
        Assert.EndsWith("prior 600, Prior done, Publish done, " + $"published {Spec.Model}, Completed", Text(events), StringComparison.Ordinal);
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

    private static WorkerReport[] Steps(int first, int last) =>
        [.. Enumerable.Range(first, last - first + 1).Select(step => new ProgressReport(new PriorStepCompleted { Step = step, Updates = 1000 }))];

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
