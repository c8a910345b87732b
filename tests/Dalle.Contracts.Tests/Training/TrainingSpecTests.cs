using Dalle.Contracts.Training;

namespace Dalle.Contracts.Tests.Training;

public sealed class TrainingSpecTests
{
    private static readonly TrainingSpec Good = new() { Preset = "tiny", Dataset = "scenes", Model = "m" };

    public static TheoryData<string, TrainingSpec> Bad => new()
    {
        { "Preset", Good with { Preset = "" } },
        { "Dataset", Good with { Dataset = " " } },
        { "Model", Good with { Model = "a/b" } },
        { "DiscreteVaeUpdates", Good with { DiscreteVaeUpdates = 0 } },
        { "PriorUpdates", Good with { PriorUpdates = -1 } },
        { "CheckpointEvery", Good with { CheckpointEvery = 0 } },
        { "KeepCheckpoints", Good with { KeepCheckpoints = 0 } },
        { "ThreadsPerWorker", Good with { ThreadsPerWorker = 0 } },
        { "CompressionRank", Good with { CompressionRank = -1 } },
        { "RerankerUpdates", Good with { RerankerUpdates = -1 } },
    };

    [Fact]
    public void Validate_GoodSpec_Passes() => Good.Validate();

    [Theory]
    [MemberData(nameof(Bad))]
    public void Validate_BadField_NamesIt(string field, TrainingSpec spec) => Assert.Equal(field, Assert.Throws<InvalidRequestException>(spec.Validate).Parameter);
}
