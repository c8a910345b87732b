using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Native;

public sealed class HeldScalarsTests
{
    [Fact]
    public void Number_WhileTheCollectorRuns_IsReadWhole()
    {
        using var scope = NewDisposeScope();
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            var total = zeros(1, ScalarType.Float64);
            for (var i = 0; i < 30_000; i++)
            {
                total.add_(Number(0.5), Number(2)).add_(total, Number(0));
            }

            Assert.Equal(30_000, total.item<double>());
        }
        finally
        {
            stop.Cancel();
            collector.Join();
        }
    }

    [Fact]
    public void Number_TakesTheKindOfItsArgument()
    {
        using var scope = NewDisposeScope();

        Assert.Equal(ScalarType.Int64, ones(1, ScalarType.Int64).mul(Number(2)).dtype);
        Assert.Equal(ScalarType.Float32, ones(1, ScalarType.Int64).mul(Number(2.0)).dtype);
    }
}
