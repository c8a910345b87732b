using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

// Shape suffixes: R rows, C width.

/// <summary>Sums over rows on the CPU, in 32 bit.</summary>
internal static unsafe class ColumnSumKernel
{
    private const int RowsOfARange = 128;

    /// <summary>The sums over each range of rows: float32 <c>[ranges, C]</c>.</summary>
    public static Tensor Run(Tensor x_RC) => Vector512.IsHardwareAccelerated ? Run<Lanes16>(x_RC) : Run<Lanes8>(x_RC);

    /// <summary><see cref="Run(Tensor)"/> with vectors of one length.</summary>
    public static Tensor Run<TLanes>(Tensor x_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        => x_RC.dtype == ScalarType.BFloat16 ? Run<TLanes, BFloat16>(x_RC) : Run<TLanes, Float32>(x_RC);

    private static Tensor Run<TLanes, T>(Tensor x_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var rows = x_RC.shape[0];
        var width = (int)x_RC.shape[1];
        var sums = zeros((rows + RowsOfARange - 1) / RowsOfARange, width);
        var x = TensorMemory.Pointer<T>(x_RC);
        var sum = TensorMemory.Pointer<float>(sums);
        CpuTeam.Run(rows, RowsOfARange, (range, start, end) => Add<TLanes, T>(x + (start * width), (int)(end - start), width, sum + ((long)range * width)));
        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<TLanes, T>(T* x, int rows, int width, float* sum)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        for (var row = 0; row < rows; row++, x += width)
        {
            for (var c = 0; c < width; c += TLanes.Count)
            {
                (TLanes.Load(sum + c) + T.Load<TLanes>(x + c)).Store(sum + c);
            }
        }
    }
}
