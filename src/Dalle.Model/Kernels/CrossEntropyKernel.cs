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
    public static double Run(Tensor logits_RV, Tensor target_R, float scale)
    {
        var (rows, vocabulary) = (logits_RV.shape[0], (int)logits_RV.shape[1]);
        var logits = TensorMemory.Pointer<float>(logits_RV);
        var target = TensorMemory.Pointer<long>(target_R);
        var losses = new double[rows];
        CpuTeam.Run(rows, RowsOfARange, (_, start, end) =>
        {
            for (var row = start; row < end; row++)
            {
                losses[row] = Row(logits + (row * vocabulary), vocabulary, target[row], scale);
            }
        });
        return losses.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row(float* logits, int vocabulary, long target, float scale)
    {
        var largest = Vector512.Create(float.NegativeInfinity);
        for (var v = 0; v < vocabulary; v += Element.Lanes)
        {
            largest = Vector512.MaxNative(largest, Vector512.Load(logits + v));
        }

        var max = VectorFunctions.Max(largest);
        var chosen = logits[target] - max;
        Vector512<float> sums = default;
        for (var v = 0; v < vocabulary; v += Element.Lanes)
        {
            var power = VectorFunctions.Exp(Vector512.Load(logits + v) - Vector512.Create(max));
            power.Store(logits + v);
            sums += power;
        }

        var sum = Vector512.Sum(sums);
        var factor = Vector512.Create(scale / sum);
        for (var v = 0; v < vocabulary; v += Element.Lanes)
        {
            (Vector512.Load(logits + v) * factor).Store(logits + v);
        }

        logits[target] -= scale;
        return Math.Log(sum) - chosen;
    }
}
