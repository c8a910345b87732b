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
        CpuTeam.Run(x.numel(), ElementsOfARange, (range, start, end) =>
        {
            Vector512<float> sum = default;
            var i = start;
            for (; i <= end - Element.Lanes; i += Element.Lanes)
            {
                var value = Vector512.Load(source + i);
                sum += value * value;
            }

            double total = Vector512.Sum(sum);
            for (; i < end; i++)
            {
                total += (double)source[i] * source[i];
            }

            sums[range] = total;
        });
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
        var f = factors;
        CpuTeam.Run(parameters.numel(), ElementsOfARange, (_, start, end) =>
        {
            var i = start;
            for (; i <= end - Element.Lanes && (i >= decayed || i <= decayed - Element.Lanes); i += Element.Lanes)
            {
                var gradientLanes = Vector512.Load(g + i) * f.GradientFactor;
                var meanLanes = (Vector512.Load(m + i) * f.Beta1) + (gradientLanes * (1 - f.Beta1));
                var varianceLanes = (Vector512.Load(v + i) * f.Beta2) + (gradientLanes * gradientLanes * (1 - f.Beta2));
                meanLanes.Store(m + i);
                varianceLanes.Store(v + i);
                var deviation = Vector512.Sqrt(Vector512.Min(varianceLanes, Vector512.Create(f.VarianceClip)) * f.VarianceCorrection) + Vector512.Create(f.Epsilon);
                ((Vector512.Load(p + i) * (i < decayed ? f.Shrink : 1)) - (meanLanes * f.StepSize / deviation)).Store(p + i);
            }

            for (; i < end; i++)
            {
                var single = g[i] * f.GradientFactor;
                m[i] = (m[i] * f.Beta1) + (single * (1 - f.Beta1));
                v[i] = (v[i] * f.Beta2) + (single * single * (1 - f.Beta2));
                var deviation = MathF.Sqrt(MathF.Min(v[i], f.VarianceClip) * f.VarianceCorrection) + f.Epsilon;
                p[i] = (p[i] * (i < decayed ? f.Shrink : 1)) - (m[i] * f.StepSize / deviation);
            }
        });
    }
}
