using System.Runtime.InteropServices;
using Dalle.Model.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Training;

public sealed class GradientScalesTests : IDisposable
{
    private static readonly bool[] Clean = [true, true, true], Broken = [true, false, true];

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly GradientScales _scales = new(3);

    public void Dispose()
    {
        _scales.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(1, 8192)]
    [InlineData(6, 49152)]
    public void Scales_StartAtThePapersNumberTimesTheWorkers(int workers, double expected)
    {
        using var scales = new GradientScales(2, workers);
        Assert.Equal(new GradientScalesReport(expected, expected, 0), scales.Report());
    }

    [Fact]
    public void Scales_AfterAThousandCleanUpdates_AreTwiceAsLarge()
    {
        Run(0, 1000, Clean);
        Assert.All(Enumerable.Range(0, 3), resblock => Assert.Equal(16384, _scales[resblock], 1e-7));
        Assert.Equal(0, _scales.Report().SkippedUpdates);
    }

    [Fact]
    public void Scale_OfGradientsThatAreNotFinite_IsDivided_AndOnlyThat()
    {
        Run(0, 1, Broken);
        Assert.Equal([8192, 8192 / Math.Sqrt(2), 8192], Values());
        Assert.Equal(new(8192 / Math.Sqrt(2), 8192, 1), _scales.Report());
    }

    // The one of update 0 holds until 125; clean updates in between make it grow, and skipped ones count too.
    [Fact]
    public void Scale_WithinTheWindowOfADivision_IsNotDividedAgain()
    {
        Run(0, 1, Broken);
        Run(1, 3, Clean);
        var before = Values();
        Assert.Equal(8192 / Math.Sqrt(2) * Math.Pow(2, 2.0 / 1000), before[1], 1e-8);

        Run(3, 125, Broken);
        Assert.Equal(before, Values());

        Run(125, 126, Broken);
        Assert.Equal(before[1] / Math.Sqrt(2), _scales[1]);
        Assert.Equal(124, _scales.Report().SkippedUpdates);
    }

    [Fact]
    public void Scale_OfAResblockInTheWindow_HoldsBackNoOthers()
    {
        Run(0, 1, Broken);
        Run(1, 2, [false, false, true]);
        Assert.Equal([8192 / Math.Sqrt(2), 8192 / Math.Sqrt(2), 8192], Values());
    }

    [Fact]
    public void Scales_OfAnUpdateSkippedForOtherGradients_StayAsTheyAre()
    {
        _scales.Observe(0, Clean, skipped: true);
        Assert.Equal(new(8192, 8192, 1), _scales.Report());
    }

    [Fact]
    public void Scales_StayWithinThePapersBounds()
    {
        using var scales = new GradientScales(2, workers: 3);
        for (var step = 0; step < 100 * GradientScales.Window; step += GradientScales.Window)
        {
            scales.Observe(step, [true, false], skipped: true);
        }

        Assert.Equal(3 * 128, scales[1]);
        for (var step = 0; step < 20_000; step++)
        {
            scales.Observe(step, [true, true], skipped: false);
        }

        Assert.Equal(new(3 * 16_777_216, 3 * 16_777_216, 100), scales.Report());
    }

    [Fact]
    public void State_OfOthers_GoesOnAsTheirs()
    {
        using var resumed = new GradientScales(3);
        Run(0, 7, Clean);
        Run(7, 8, Broken);
        foreach (var (from, to) in _scales.NamedState().Zip(resumed.NamedState()))
        {
            Assert.Equal(from.Name, to.Name);
            to.Tensor.copy_(from.Tensor);
        }

        foreach (var (step, finite) in new[] { (8, Broken), (9, Clean), (140, Broken) })
        {
            _scales.Observe(step, finite, skipped: finite == Broken);
            resumed.Observe(step, finite, skipped: finite == Broken);
            Assert.Equal(Values(), Enumerable.Range(0, 3).Select(resblock => resumed[resblock]));
        }

        Assert.Equal(_scales.Report(), resumed.Report());
    }

    [Fact]
    public void Observe_AnUpdateThatWasDoneWithoutFiniteGradients_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => _scales.Observe(0, Broken, skipped: false));
        Assert.Throws<ArgumentException>(() => _scales.Observe(0, [true], skipped: false));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GradientScales(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GradientScales(1, workers: 0));
    }

    private void Run(int from, int to, bool[] finite)
    {
        for (var step = from; step < to; step++)
        {
            _scales.Observe(step, finite, skipped: finite.Contains(false));
        }
    }

    private double[] Values() => [.. MemoryMarshal.Cast<byte, double>(_scales.NamedState().First().Tensor.bytes)];
}
