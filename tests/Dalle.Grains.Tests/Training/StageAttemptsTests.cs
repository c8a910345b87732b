using Dalle.Contracts.Training;
using Dalle.Grains.Training;

namespace Dalle.Grains.Tests.Training;

public sealed class StageAttemptsTests
{
    private readonly StageAttempts _attempts = new(most: 3);

    [Fact]
    public void Tries_FromTheSameState_ThatFail_FailTheJobWithTheReasonOfTheLast()
    {
        for (var loss = 1; loss <= 3; loss++)
        {
            Assert.Null(_attempts.Failure);
            Try(from: 10, "loss " + loss);
        }

        Assert.Equal("Prior was tried 3 times without progress: loss 3", _attempts.Failure);
    }

    [Fact]
    public void Tries_ThatBeginFurtherOn_AreCountedAnew()
    {
        for (var step = 0; step < 10; step++)
        {
            Try(from: step, "loss");
            Try(from: step, "loss");
        }

        Assert.Equal((2, null), (_attempts.Count, _attempts.Failure));
    }

    [Fact]
    public void Try_ThatHasWrittenACheckpoint_FailsFromThere()
    {
        Try(from: 10, "loss");
        Try(from: 10, "loss");
        _attempts.Begin(TrainingStage.Prior, 10);
        _attempts.Failed(TrainingStage.Prior, 20, "loss");

        Assert.Equal((1, null), (_attempts.Count, _attempts.Failure));
    }

    [Fact]
    public void Try_ThatBeganWithASnapshot_IsNotTakenBackToTheOlderCheckpoint()
    {
        _attempts.Begin(TrainingStage.Prior, 30);
        _attempts.Failed(TrainingStage.Prior, 20, "loss");
        _attempts.Begin(TrainingStage.Prior, 30);

        Assert.Equal(1, _attempts.Count);
    }

    [Fact]
    public void Stages_AreCountedEachForItself()
    {
        Try(from: 0, "loss");
        _attempts.Begin(TrainingStage.Publish, 0);

        Assert.Equal(0, _attempts.Count);
    }

    private void Try(int from, string loss)
    {
        _attempts.Begin(TrainingStage.Prior, from);
        _attempts.Failed(TrainingStage.Prior, from, loss);
    }
}
