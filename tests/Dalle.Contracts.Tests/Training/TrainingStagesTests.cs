using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests.Training;

public sealed class TrainingStagesTests
{
    private static readonly TrainingSpec Spec = new() { Preset = "tiny", Dataset = "scenes", Model = "m" };

    [Fact]
    public void InOrder_HasEveryStageOnce_AndPublishesLast()
    {
        Assert.Equal(Enum.GetValues<TrainingStage>(), TrainingStages.InOrder.Order());
        Assert.Equal(TrainingStage.Publish, TrainingStages.InOrder[^1]);
    }

    [Theory]
    [InlineData(null, "Prior", "Reranker")]
    [InlineData(7, "Prior", "Reranker")]
    [InlineData(0, "Prior", "Publish")]
    [InlineData(null, "Reranker", "Publish")]
    [InlineData(null, "Publish", null)]
    public void After_LeavesOutARerankerThatIsNotToBeTrained(int? updates, string stage, string? next) =>
        Assert.Equal(next, TrainingStages.After(Enum.Parse<TrainingStage>(stage), Spec with { RerankerUpdates = updates })?.ToString());

    [Fact]
    public void Trains_IsOfTheStagesThatDoUpdates() =>
        Assert.Equal([TrainingStage.DiscreteVae, TrainingStage.Prior, TrainingStage.Reranker], TrainingStages.InOrder.Where(stage => stage.Trains()));
}
