using Dalle.Model.Training;

namespace Dalle.Model.Tests.Training;

public sealed class CosineScheduleTests
{
    [Theory]
    [InlineData(0, 2)]
    [InlineData(25, 1 + (1 / 1.4142135623730951))]
    [InlineData(50, 1)]
    [InlineData(100, 0)]
    [InlineData(1000, 0)]
    public void At_OverTheCourse_IsAHalfCosine(int step, double expected) => Assert.Equal(expected, new CosineSchedule(2, 0, 100).At(step), 12);

    [Fact]
    public void At_OverNoUpdates_IsTheLastValue() => Assert.Equal(3, new CosineSchedule(1, 3, 0).At(0));
}
