using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>The course of whole jobs, and the commands that change it.</summary>
public sealed class TrainingJobGrainTests(GrainCluster cluster) : ScriptedJob(cluster)
{
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
        Script.Say(
            new ProgressReport(new RerankerStepCompleted { Step = 40, Updates = 40, Temperature = 0.05 }), new ProgressReport(new RerankerEvaluated { Step = 40, ImageToText = 0.5, TextToImage = 0.25 }));
        Done(TrainingStage.Reranker);
        Done(TrainingStage.Publish);

        var events = await Watch();

        Assert.Equal(
            "Running, Prepare 9/9, Prepare done, Tokenizer done, DiscreteVae from 0, checkpoint 10, psnr 21, DiscreteVae done, Encode done, "
            + $"prior 30, Prior done, reranker 40, found 0.5, Reranker done, Publish done, published {Spec.Model}, Completed",
            Text(events));
        Assert.Equal(TrainingStages.InOrder, Script.Leases.Select(lease => lease.Stage));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7], Script.Leases.Select(lease => lease.Epoch));
        Assert.All(Script.Leases, lease => Assert.Equal((Spec, null), (lease.Spec, lease.Checkpoint)));
        Assert.Equal((21, 2.5), (Script.Leases.Last().Metrics["psnr"], Script.Leases.Last().Metrics["imageLoss"]));
        Assert.Equal((0.5, 0.25, 0.05), (Script.Leases.Last().Metrics["imageToText"], Script.Leases.Last().Metrics["textToImage"], Script.Leases.Last().Metrics["rerankerTemperature"]));
        Assert.Equal(Spec.Model, (await Cluster.Grains.GetGrain<IModelCatalogGrain>(0).Get(Spec.Model, Token)).Name);
        var status = await Job.GetStatus(Token);
        Assert.Equal((TrainingPhase.Completed, TrainingStage.Publish, null, null), (status.Phase, status.Stage, status.Checkpoint, status.Failure));
        Assert.Equal((40, 0.25), (status.Reranker?.Step, status.Retrieval?.TextToImage));
        Assert.Equal(Enum.GetValues<TrainingStage>(), status.StageSeconds.Keys.Order());
        Assert.Contains(JobId, await Cluster.Grains.GetGrain<IClusterGrain>(0).ListJobs(Token));
    }

    [Fact]
    public async Task Job_ThatIsToTrainNoReranker_LeavesItsStageOut()
    {
        await Job.Start(Spec with { RerankerUpdates = 0 }, Token);
        foreach (var stage in TrainingStages.Of(Spec with { RerankerUpdates = 0 }))
        {
            Done(stage);
        }

        await Watch();

        Assert.Equal(TrainingStages.InOrder.Where(stage => stage != TrainingStage.Reranker), Script.Leases.Select(lease => lease.Stage));
        Assert.Equal(TrainingPhase.Completed, (await Job.GetStatus(Token)).Phase);
    }

    [Theory]
    [InlineData(TrainingStage.Prepare)]
    [InlineData(TrainingStage.DiscreteVae)]
    [InlineData(TrainingStage.Prior)]
    [InlineData(TrainingStage.Reranker)]
    [InlineData(TrainingStage.Publish)]
    public async Task Pause_ThenResume_GoesOnWithTheStage_FromTheCheckpointOfThePause(TrainingStage stage)
    {
        await StartAt(stage);
        Script.LastWords = [Checkpoint(stage, 7)];

        await Job.Pause(Token);
        await Job.Pause(Token);
        var paused = await Job.GetStatus(Token);
        Assert.Equal("checkpoint 7, Paused (paused on request)", Text((await Watch())[^2..]));

        await Job.Resume(cancellationToken: Token);
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
        await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Resume(cancellationToken: Token));
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
                        await Job.Resume(cancellationToken: Token);
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
        Assert.Equal(TrainingStages.InOrder.Count, Script.Leases.Count);
    }

    [Fact]
    public async Task Job_ThatWasNeverStarted_IsNotFound_AndABadSpecIsRefusedByField()
    {
        await Assert.ThrowsAsync<NotFoundException>(() => Job.GetStatus(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Pause(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Resume(cancellationToken: Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Job.Cancel(Token));
        await Assert.ThrowsAsync<NotFoundException>(() => Watch());
        var error = await Assert.ThrowsAsync<InvalidRequestException>(() => Job.Start(Spec with { PriorUpdates = 0 }, Token));

        Assert.Equal("PriorUpdates", error.Parameter);
        Assert.DoesNotContain(JobId, await Cluster.Grains.GetGrain<IClusterGrain>(0).ListJobs(Token));
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
        var held = Cluster.Stored.HoldNextWrite(JobId);
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
}
