using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

// Shape suffixes: R rows, V vocabulary.

/// <summary>Cross-entropy and its gradient on the CPU, a row at a time.</summary>
internal static unsafe class CrossEntropyKernel
{
    private const int RowsOfARange = 8;

    /// <summary>Turns logits into their gradient, <c>scale * (softmax - one at the target)</c>, in place.</summary>
    /// <returns>The rows' summed cross-entropy.</returns>
    public static double Run(Tensor logits_RV, Tensor target_R, float scale) =>
        Vector512.IsHardwareAccelerated ? Run<Lanes16>(logits_RV, target_R, scale) : Run<Lanes8>(logits_RV, target_R, scale);

    /// <summary><see cref="Run(Tensor, Tensor, float)"/> with vectors of one length.</summary>
    public static double Run<TLanes>(Tensor logits_RV, Tensor target_R, float scale)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var (rows, vocabulary) = (logits_RV.shape[0], (int)logits_RV.shape[1]);
        var logits = TensorMemory.Pointer<float>(logits_RV);
        var target = TensorMemory.Pointer<long>(target_R);
        var losses = new double[rows];
        CpuTeam.Run(rows, RowsOfARange, (_, start, end) =>
        {
            for (var row = start; row < end; row++)
            {
                losses[row] = Row<TLanes>(logits + (row * vocabulary), vocabulary, target[row], scale);
            }
        });
        return losses.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row<TLanes>(float* logits, int vocabulary, long target, float scale)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var largest = TLanes.Create(float.NegativeInfinity);
        for (var v = 0; v < vocabulary; v += TLanes.Count)
        {
            largest = TLanes.Max(largest, TLanes.Load(logits + v));
        }

        var max = TLanes.Largest(largest);
        var chosen = logits[target] - max;
        var shift = TLanes.Create(max);
        TLanes sums = default;
        for (var v = 0; v < vocabulary; v += TLanes.Count)
        {
            var power = VectorFunctions.Exp(TLanes.Load(logits + v) - shift);
            power.Store(logits + v);
            sums += power;
        }

        var sum = TLanes.Sum(sums);
        var factor = TLanes.Create(scale / sum);
        for (var v = 0; v < vocabulary; v += TLanes.Count)
        {
            (TLanes.Load(logits + v) * factor).Store(logits + v);
        }

        logits[target] -= scale;
        return Math.Log(sum) - chosen;
    }
}
