using Dalle.Contracts;
using Dalle.Contracts.Training;
using Dalle.Grains.Training;

namespace Dalle.Grains.Tests.Training;

/// <summary>The rules of a training job, without a cluster.</summary>
public sealed class TrainingJobStateTests
{
    private static readonly TrainingSpec Spec = new() { Preset = "test", Dataset = "scenes", Model = "m", Seed = 1 };

    private static readonly WorkerPlacement Placement = new(1, 1, [new("a-silo", null, 0, 1, 0, 1)]);

    private static readonly TrainingJobState Running = new TrainingJobState().Start(Spec, DateTimeOffset.UnixEpoch);

    [Fact]
    public void Start_AgainWithTheSameSpec_ChangesNothing() => Assert.Same(Running, Running.Start(Spec with { }, DateTimeOffset.MaxValue));

    [Fact]
    public void Start_WithAnotherSpec_IsRefused() =>
        Assert.Throws<InvalidRequestException>(() => Running.Start(Spec with { Seed = 2 }, DateTimeOffset.UnixEpoch));

    [Fact]
    public void CompleteStage_GoesThroughEveryStage_AndEndsCompleted()
    {
        var state = Running;
        var stages = new List<TrainingStage>();
        while (state.Phase == TrainingPhase.Running)
        {
            stages.Add(state.Stage);
            state = state.CompleteStage();
        }

        Assert.Equal(TrainingStages.InOrder, stages);
        Assert.Equal(TrainingPhase.Completed, state.Phase);
    }

    [Fact]
    public void Name_OfTheStagesCheckpoint_IsWhereTheNextLeaseGoesOn()
    {
        var checkpoint = new CheckpointManifest(TrainingStage.Prepare, 10, "jobs/j/checkpoints/prepare/step-00000010");
        var state = Running.Name(checkpoint).NextLease();

        Assert.Equal(checkpoint, state.Lease(Placement, null).Checkpoint);
        Assert.Equal(1, state.Lease(Placement, null).Epoch);
    }

    [Fact]
    public void Name_OfAnotherStagesCheckpoint_IsPassedOver() =>
        Assert.Null(Running.Name(new CheckpointManifest(TrainingStage.Prior, 10, "x")).Checkpoint);

    [Fact]
    public void CompleteStage_ForgetsTheCheckpoint_SoThatTheNextStageBegins() =>
        Assert.Null(Running.Name(new CheckpointManifest(TrainingStage.Prepare, 10, "x")).CompleteStage().Checkpoint);

    [Theory]
    [InlineData(TrainingPhase.Paused)]
    [InlineData(TrainingPhase.Failed)]
    public void Resume_OfARestingJob_RunsAgainWithoutTheFailure(TrainingPhase phase)
    {
        var state = (Running with { Phase = phase, Failure = "disk full" }).Resume();

        Assert.Equal((TrainingPhase.Running, null), (state.Phase, state.Failure));
    }

    [Theory]
    [InlineData(TrainingPhase.Completed)]
    [InlineData(TrainingPhase.Cancelled)]
    public void Resume_OfAnEndedJob_IsRefused(TrainingPhase phase) =>
        Assert.Throws<InvalidRequestException>(() => (Running with { Phase = phase }).Resume());

    [Fact]
    public void Resume_WithOtherWorkers_ChangesTheSpecOfAJobThatRests()
    {
        var running = Running;
        var state = (running with { Phase = TrainingPhase.Paused }).Resume(new(Replicas: 3));

        Assert.Equal((3, running.Spec!.Shards, TrainingPhase.Running), (state.Spec!.Replicas, state.Spec.Shards, state.Phase));
        Assert.Equal(running, running.Resume(new(running.Spec.Replicas, running.Spec.Shards)));
        Assert.Throws<InvalidRequestException>(() => running.Resume(new(Shards: 5)));
        Assert.Throws<InvalidRequestException>(() => (running with { Phase = TrainingPhase.Failed }).Resume(new(Shards: 0)));
    }

    [Fact]
    public void Cancel_OfACompletedJob_IsRefused() =>
        Assert.Throws<InvalidRequestException>(() => (Running with { Phase = TrainingPhase.Completed }).Cancel());

    [Theory]
    [InlineData(TrainingStage.Prior)]
    [InlineData(TrainingStage.Publish)]
    public void CompleteStage_OfAJobCancelledMeanwhile_LeavesItCancelled(TrainingStage stage)
    {
        var cancelled = (Running with { Stage = stage }).Cancel();

        Assert.Same(cancelled, cancelled.CompleteStage());
    }

    [Fact]
    public void Fail_OfAJobCancelledMeanwhile_LeavesItCancelled() => Assert.Equal(Running.Cancel(), Running.Cancel().Fail("disk full"));

    [Fact]
    public void Spend_AddsUpOverTheRunsOfAStage() =>
        Assert.Equal(5, Running.Spend(TimeSpan.FromSeconds(2)).Spend(TimeSpan.FromSeconds(3)).SecondsSpent);

    [Theory]
    [InlineData(false, "psnr")]
    [InlineData(true, "trainingPsnr")]
    public void Metrics_SayWhichPicturesWereMeasured(bool ofTrainingPictures, string name) =>
        Assert.Equal(name, Assert.Single(
            Running.Observe(new DiscreteVaeEvaluated { OfTrainingPictures = ofTrainingPictures }).Metrics.Keys, key => key.EndsWith("snr", StringComparison.OrdinalIgnoreCase)));

    [Theory]
    [InlineData(false, "imageToText")]
    [InlineData(true, "trainingImageToText")]
    public void Metrics_SayWhichPairsWereFound(bool ofTrainingPictures, string name) =>
        Assert.Equal(0.75, Running.Observe(new RerankerEvaluated { ImageToText = 0.75, OfTrainingPictures = ofTrainingPictures }).Metrics[name]);

    [Fact]
    public void Status_OfAJobThatWasNeverStarted_IsNotFound() => Assert.Throws<NotFoundException>(() => new TrainingJobState().Status("j"));
}
