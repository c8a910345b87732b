using Dalle.Cli.Rendering;

namespace Dalle.Cli.Tests.Rendering;

public sealed class LossHistoryTests
{
    [Fact]
    public void Add_MoreThanItHolds_AveragesNeighboursAndKeepsTheWholeRun()
    {
        var history = new LossHistory(capacity: 4);
        for (var i = 0; i < 16; i++)
        {
            history.Add(i);
        }

        // 16 values: points of 8 by now, the means of 0-7 and 8-15.
        Assert.Equal([3.5, 11.5], history.Points);
    }

    [Fact]
    public void Add_NotFinite_IsLeftOut()
    {
        var history = new LossHistory();
        history.Add(1);
        history.Add(double.NaN);
        history.Add(double.PositiveInfinity);
        Assert.Equal([1.0], history.Points);
    }
}
