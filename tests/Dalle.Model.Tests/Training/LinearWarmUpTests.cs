using Dalle.Model.Training;

namespace Dalle.Model.Tests.Training;

public sealed class LinearWarmUpTests
{
    [Theory]
    [InlineData(0, 4, 0.25)]
    [InlineData(2, 4, 0.75)]
    [InlineData(3, 4, 1)]
    [InlineData(100, 4, 1)]
    [InlineData(0, 0, 1)]
    public void At_OverTheCourse_GrowsToOne(int step, int updates, double expected) => Assert.Equal(expected, LinearWarmUp.At(step, updates));
}
