using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Jobs that lose something: their worker, their activation, what they wrote to the store.</summary>
public sealed class TrainingJobLossTests(GrainCluster cluster) : ScriptedJob(cluster)
{
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
        await Cluster.EndActivations(Token);
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

        await Cluster.EndActivations(Token);
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

        await Job.Resume(cancellationToken: Token);
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
    public async Task Job_WhoseWorkerIsOutOfReach_WaitsForAsLongAsItTakes()
    {
        await StartAt(TrainingStage.Encode);
        for (var i = 0; i < 7; i++)
        {
            Script.BeOutOfReach();
        }

        DoneFrom(TrainingStage.Encode);

        Assert.EndsWith("Completed", Text(await Watch()), StringComparison.Ordinal);
        Assert.Equal(7 + Enum.GetValues<TrainingStage>().Length, Script.Leases.Count);
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
        Cluster.Clock.Hold();
        await StartAt(TrainingStage.DiscreteVae);
        Script.Break("lost");
        var goOn = await Cluster.Clock.NextHeld(Token);
        var pausing = Job.Pause(Token);
        await Script.NextStop(Token);
        Cluster.Clock.Go();
        goOn();
        await pausing;

        Assert.Equal(TrainingPhase.Paused, (await Job.GetStatus(Token)).Phase);
        Assert.Equal(3, Script.Leases.Count);
    }

    [Fact]
    public async Task Job_WhoseCheckpointCannotBeStored_IsTriedAgain_AndGoesOn()
    {
        await StartAt(TrainingStage.DiscreteVae);
        Cluster.Stored.FailNextWrite(JobId);
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
        Cluster.Stored.LoseNextAnswer(JobId);
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
        var held = Cluster.Stored.HoldNextWrite(JobId);
        Script.Say(new FailedReport("disk full"));
        var failing = await held.ReadAsync(Token);
        var cancelling = Job.Cancel(Token);
        while ((await Job.GetStatus(Token)).Phase != TrainingPhase.Cancelled)
        {
        }

        failing.SetResult();
        await cancelling;
        await Cluster.EndActivations(Token);

        Assert.Equal(TrainingPhase.Cancelled, (await Job.GetStatus(Token)).Phase);
        Assert.True(Script.Discarded.Task.IsCompleted);
    }
}
