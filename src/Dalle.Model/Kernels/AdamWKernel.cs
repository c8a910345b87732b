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
    /// <param name="mean">Running mean: float32, or int16 for the codes of <see cref="SignedCode"/>.</param>
    /// <param name="variance">Running variance: float32, or int16 for the codes of <see cref="UnsignedCode"/>.</param>
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
        if (mean.dtype == ScalarType.Int16)
        {
            Run<TLanes, SignedCode, UnsignedCode>(parameters, gradient, mean, variance, decayed, factors);
        }
        else
        {
            Run<TLanes, Float32, Float32>(parameters, gradient, mean, variance, decayed, factors);
        }
    }

    private static void Run<TLanes, TMean, TVariance>(Tensor parameters, Tensor gradient, Tensor mean, Tensor variance, long decayed, AdamWFactors factors)
        where TLanes : unmanaged, ILanes<TLanes>
        where TMean : unmanaged, IMoment<TMean>
        where TVariance : unmanaged, IMoment<TVariance>
    {
        var p = TensorMemory.Pointer<float>(parameters);
        var g = TensorMemory.Pointer<float>(gradient);
        var m = TensorMemory.Pointer<TMean>(mean);
        var v = TensorMemory.Pointer<TVariance>(variance);
        var undecaying = factors with { Shrink = 1 };
        CpuTeam.Run(parameters.numel(), ElementsOfARange, (_, start, end) =>
        {
            var border = Math.Clamp(decayed, start, end);
            Run<TLanes, TMean, TVariance>(p + start, g + start, m + start, v + start, border - start, factors);
            Run<TLanes, TMean, TVariance>(p + border, g + border, m + border, v + border, end - border, undecaying);
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

    // The step is taken with the moments as computed; what is kept of them is rounded to their formats.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TLanes, TMean, TVariance>(float* p, float* g, TMean* m, TVariance* v, long count, AdamWFactors f)
        where TLanes : unmanaged, ILanes<TLanes>
        where TMean : unmanaged, IMoment<TMean>
        where TVariance : unmanaged, IMoment<TVariance>
    {
        TLanes gradientFactor = TLanes.Create(f.GradientFactor), stepSize = TLanes.Create(f.StepSize), shrink = TLanes.Create(f.Shrink);
        TLanes beta1 = TLanes.Create(f.Beta1), rest1 = TLanes.Create(1 - f.Beta1), beta2 = TLanes.Create(f.Beta2), rest2 = TLanes.Create(1 - f.Beta2);
        TLanes clip = TLanes.Create(f.VarianceClip), correction = TLanes.Create(f.VarianceCorrection), epsilon = TLanes.Create(f.Epsilon);
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var gradient = TLanes.Load(g + i) * gradientFactor;
            var mean = (TMean.Load<TLanes>(m + i) * beta1) + (gradient * rest1);
            var variance = (TVariance.Load<TLanes>(v + i) * beta2) + (gradient * gradient * rest2);
            TMean.Store(mean, m + i);
            TVariance.Store(variance, v + i);
            var deviation = TLanes.Sqrt(TLanes.Min(variance, clip) * correction) + epsilon;
            ((TLanes.Load(p + i) * shrink) - (mean * stepSize / deviation)).Store(p + i);
        }

        Remainder(p + i, g + i, m + i, v + i, count - i, f);
    }

    // The same, one by one. Apart, so that the factors' single copies take no registers from the vectors.
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Remainder<TMean, TVariance>(float* p, float* g, TMean* m, TVariance* v, long count, AdamWFactors f)
        where TMean : unmanaged, IMoment<TMean>
        where TVariance : unmanaged, IMoment<TVariance>
    {
        for (long i = 0; i < count; i++)
        {
            var gradient = g[i] * f.GradientFactor;
            var mean = (TMean.Read(m + i) * f.Beta1) + (gradient * (1 - f.Beta1));
            var variance = (TVariance.Read(v + i) * f.Beta2) + (gradient * gradient * (1 - f.Beta2));
            TMean.Write(mean, m + i);
            TVariance.Write(variance, v + i);
            p[i] = (p[i] * f.Shrink) - (mean * f.StepSize / (MathF.Sqrt(MathF.Min(variance, f.VarianceClip) * f.VarianceCorrection) + f.Epsilon));
        }
    }
}
