using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

// Shape suffixes: R rows, C width.

/// <summary>Sums over rows on the CPU, in 32 bit.</summary>
internal static unsafe class ColumnSumKernel
{
    private const int RowsOfARange = 128;

    /// <summary>The sums over each range of rows: float32 <c>[ranges, C]</c>.</summary>
    public static Tensor Run<T>(Tensor x_RC)
        where T : unmanaged, IElement<T>
    {
        var (rows, width) = (x_RC.shape[0], (int)x_RC.shape[1]);
        var sums = zeros((rows + RowsOfARange - 1) / RowsOfARange, width);
        var x = TensorMemory.Pointer<T>(x_RC);
        var sum = TensorMemory.Pointer<float>(sums);
        CpuTeam.Run(rows, RowsOfARange, (range, start, end) =>
        {
            var target = sum + ((long)range * width);
            for (var row = start; row < end; row++)
            {
                var source = x + (row * width);
                for (var c = 0; c < width; c += Element.Lanes)
                {
                    (Vector512.Load(target + c) + T.Load(source + c)).Store(target + c);
                }
            }
        });
        return sums;
    }
}
