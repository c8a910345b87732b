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
    public static double SumOfSquares(Tensor x) => Vector512.IsHardwareAccelerated ? SumOfSquares<Lanes16>(x) : SumOfSquares<Lanes8>(x);

    /// <summary><see cref="SumOfSquares(Tensor)"/> with vectors of one length.</summary>
    public static double SumOfSquares<TLanes>(Tensor x)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var source = TensorMemory.Pointer<float>(x);
        var sums = new double[(x.numel() + ElementsOfARange - 1) / ElementsOfARange];
        CpuTeam.Run(x.numel(), ElementsOfARange, (range, start, end) => sums[range] = SumOfSquares<TLanes>(source + start, end - start));
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
        if (Vector512.IsHardwareAccelerated)
        {
            Run<Lanes16>(parameters, gradient, mean, variance, decayed, factors);
        }
        else
        {
            Run<Lanes8>(parameters, gradient, mean, variance, decayed, factors);
        }
    }

    /// <summary><see cref="Run(Tensor, Tensor, Tensor, Tensor, long, AdamWFactors)"/> with vectors of one length.</summary>
    public static void Run<TLanes>(Tensor parameters, Tensor gradient, Tensor mean, Tensor variance, long decayed, AdamWFactors factors)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var p = TensorMemory.Pointer<float>(parameters);
        var g = TensorMemory.Pointer<float>(gradient);
        var m = TensorMemory.Pointer<float>(mean);
        var v = TensorMemory.Pointer<float>(variance);
        var undecaying = factors with { Shrink = 1 };
        CpuTeam.Run(parameters.numel(), ElementsOfARange, (_, start, end) =>
        {
            var border = Math.Clamp(decayed, start, end);
            Run<TLanes>(p + start, g + start, m + start, v + start, border - start, factors);
            Run<TLanes>(p + border, g + border, m + border, v + border, end - border, undecaying);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SumOfSquares<TLanes>(float* x, long count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes sum = default;
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var value = TLanes.Load(x + i);
            sum += value * value;
        }

        double total = TLanes.Sum(sum);
        for (; i < count; i++)
        {
            total += (double)x[i] * x[i];
        }

        return total;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TLanes>(float* p, float* g, float* m, float* v, long count, AdamWFactors f)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes gradientFactor = TLanes.Create(f.GradientFactor), stepSize = TLanes.Create(f.StepSize), shrink = TLanes.Create(f.Shrink);
        TLanes beta1 = TLanes.Create(f.Beta1), rest1 = TLanes.Create(1 - f.Beta1), beta2 = TLanes.Create(f.Beta2), rest2 = TLanes.Create(1 - f.Beta2);
        TLanes clip = TLanes.Create(f.VarianceClip), correction = TLanes.Create(f.VarianceCorrection), epsilon = TLanes.Create(f.Epsilon);
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var gradient = TLanes.Load(g + i) * gradientFactor;
            var mean = (TLanes.Load(m + i) * beta1) + (gradient * rest1);
            var variance = (TLanes.Load(v + i) * beta2) + (gradient * gradient * rest2);
            mean.Store(m + i);
            variance.Store(v + i);
            var deviation = TLanes.Sqrt(TLanes.Min(variance, clip) * correction) + epsilon;
            ((TLanes.Load(p + i) * shrink) - (mean * stepSize / deviation)).Store(p + i);
        }

        Remainder(p + i, g + i, m + i, v + i, count - i, f);
    }

    // The same, one by one. Apart, so that the factors' single copies take no registers from the vectors.
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Remainder(float* p, float* g, float* m, float* v, long count, AdamWFactors f)
    {
        for (long i = 0; i < count; i++)
        {
            var gradient = g[i] * f.GradientFactor;
            m[i] = (m[i] * f.Beta1) + (gradient * (1 - f.Beta1));
            v[i] = (v[i] * f.Beta2) + (gradient * gradient * (1 - f.Beta2));
            p[i] = (p[i] * f.Shrink) - (m[i] * f.StepSize / (MathF.Sqrt(MathF.Min(v[i], f.VarianceClip) * f.VarianceCorrection) + f.Epsilon));
        }
    }
}
