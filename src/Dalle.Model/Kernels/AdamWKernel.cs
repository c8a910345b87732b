using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>The factors of one AdamW update.</summary>
/// <param name="GradientFactor">Multiplies the gradient: below 1 where its norm is clipped.</param>
/// <param name="Beta1">Decay of the running mean.</param>
/// <param name="Beta2">Decay of the running variance.</param>
/// <param name="VarianceClip">Upper bound of the variance in use.</param>
/// <param name="VarianceCorrection">1 / (1 - beta2^t).</param>
/// <param name="Epsilon">Added to the root of the variance.</param>
/// <param name="StepSize">Learning rate / (1 - beta1^t).</param>
/// <param name="Shrink">Multiplies the decayed parameters.</param>
internal readonly record struct AdamWFactors(
    float GradientFactor, float Beta1, float Beta2, float VarianceClip, float VarianceCorrection, float Epsilon, float StepSize, float Shrink);

/// <summary>AdamW on the CPU in one pass over parameters, gradients and moments.</summary>
internal static unsafe class AdamWKernel
{
    private const int ElementsOfARange = 1 << 15;

    /// <summary>The sum of squares, in 64 bit, added in a fixed order.</summary>
    public static double SumOfSquares(Tensor x)
    {
        var source = TensorMemory.Pointer<float>(x);
        var sums = new double[(x.numel() + ElementsOfARange - 1) / ElementsOfARange];
        CpuTeam.Run(x.numel(), ElementsOfARange, (range, start, end) => sums[range] = SumOfSquares(source + start, end - start));
        return sums.Sum();
    }

    /// <param name="parameters">Changed in place, as are the moments.</param>
    /// <param name="gradient">Left as it is.</param>
    /// <param name="mean">Running mean.</param>
    /// <param name="variance">Running variance.</param>
    /// <param name="decayed">Parameters at the front that decay.</param>
    /// <param name="factors">Of this update.</param>
    public static void Run(Tensor parameters, Tensor gradient, Tensor mean, Tensor variance, long decayed, AdamWFactors factors)
    {
        var p = TensorMemory.Pointer<float>(parameters);
        var g = TensorMemory.Pointer<float>(gradient);
        var m = TensorMemory.Pointer<float>(mean);
        var v = TensorMemory.Pointer<float>(variance);
        var undecaying = factors with { Shrink = 1 };
        CpuTeam.Run(parameters.numel(), ElementsOfARange, (_, start, end) =>
        {
            var border = Math.Clamp(decayed, start, end);
            Run(p + start, g + start, m + start, v + start, border - start, factors);
            Run(p + border, g + border, m + border, v + border, end - border, undecaying);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SumOfSquares(float* x, long count)
    {
        Vector512<float> sum = default;
        long i = 0;
        for (; i <= count - Element.Lanes; i += Element.Lanes)
        {
            var value = Vector512.Load(x + i);
            sum += value * value;
        }

        double total = Vector512.Sum(sum);
        for (; i < count; i++)
        {
            total += (double)x[i] * x[i];
        }

        return total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run(float* p, float* g, float* m, float* v, long count, AdamWFactors f)
    {
        long i = 0;
        for (; i <= count - Element.Lanes; i += Element.Lanes)
        {
            var gradient = Vector512.Load(g + i) * f.GradientFactor;
            var mean = (Vector512.Load(m + i) * f.Beta1) + (gradient * (1 - f.Beta1));
            var variance = (Vector512.Load(v + i) * f.Beta2) + (gradient * gradient * (1 - f.Beta2));
            mean.Store(m + i);
            variance.Store(v + i);
            var deviation = Vector512.Sqrt(Vector512.MinNative(variance, Vector512.Create(f.VarianceClip)) * f.VarianceCorrection) + Vector512.Create(f.Epsilon);
            ((Vector512.Load(p + i) * f.Shrink) - (mean * f.StepSize / deviation)).Store(p + i);
        }

        for (; i < count; i++)
        {
            var gradient = g[i] * f.GradientFactor;
            m[i] = (m[i] * f.Beta1) + (gradient * (1 - f.Beta1));
            v[i] = (v[i] * f.Beta2) + (gradient * gradient * (1 - f.Beta2));
            p[i] = (p[i] * f.Shrink) - (m[i] * f.StepSize / (MathF.Sqrt(MathF.Min(v[i], f.VarianceClip) * f.VarianceCorrection) + f.Epsilon));
        }
    }
}
