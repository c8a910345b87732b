using System.Runtime.CompilerServices;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Native;

public sealed class HeldScalarsTests
{
    [Fact]
    public void Number_IsAliveWhileLibtorchReadsIt_ThoughNothingElseHoldsIt()
    {
        var number = Forgotten();

        GC.Collect();
        GC.WaitForPendingFinalizers();

        Assert.True(number.IsAlive);
    }

    [Fact]
    public void Number_TakesTheKindOfItsArgument()
    {
        using var scope = NewDisposeScope();

        Assert.Equal(ScalarType.Int64, ones(1, ScalarType.Int64).mul(Number(2)).dtype);
        Assert.Equal(ScalarType.Float32, ones(1, ScalarType.Int64).mul(Number(2.0)).dtype);
    }

    // Its own method, so that no variable of the test holds the number.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference Forgotten() => new(Number(0.5));
}
