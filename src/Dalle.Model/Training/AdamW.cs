using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>The numbers of AdamW with the paper's two additions.</summary>
/// <param name="Beta1">Decay of the running mean.</param>
/// <param name="Beta2">Decay of the running variance.</param>
/// <param name="Epsilon">Added to the root of the variance.</param>
/// <param name="WeightDecay">Decoupled decay, of weight matrices only.</param>
/// <param name="VarianceClip">The running variance is clipped to this value before use; infinite for none.</param>
/// <param name="GradientClip">The gradient's global norm is clipped to this value; infinite for none.</param>
public sealed record AdamWConfig(
    double Beta1, double Beta2, double Epsilon, double WeightDecay,
    double VarianceClip = double.PositiveInfinity, double GradientClip = double.PositiveInfinity);

/// <summary>AdamW over the flat arrays of a <see cref="ParameterStore"/>: a handful of passes whatever the number of parameters.</summary>
/// <remarks>Used only on the store's device thread.</remarks>
public sealed class AdamW : IDisposable
{
    private readonly ParameterStore _parameters;
    private readonly AdamWConfig _config;

    public AdamW(ParameterStore parameters, AdamWConfig config)
    {
        (_parameters, _config) = (parameters, config);
        Mean = zeros_like(parameters.Master).DetachFromDisposeScope();
        Variance = zeros_like(parameters.Master).DetachFromDisposeScope();
    }

    /// <summary>Running mean of the gradient, float32 <c>[Count]</c>.</summary>
    public Tensor Mean { get; }

    /// <summary>Running mean of the squared gradient, float32 <c>[Count]</c>.</summary>
    public Tensor Variance { get; }

    /// <summary>Applies the collected gradients and refreshes the compute copies.</summary>
    /// <param name="step">Number of the update, counted from 0.</param>
    /// <param name="learningRate">Step size of this update.</param>
    /// <returns>The gradient's norm before clipping. A norm that is not finite leaves everything as it was: the update is skipped.</returns>
    public double Step(int step, double learningRate)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var gradient = _parameters.Gradient;
        if (TensorMemory.SuitsKernelsElementwise(gradient))
        {
            return OnePass(step, learningRate);
        }

        var norm = gradient.norm().item<float>();
        if (!float.IsFinite(norm))
        {
            return norm;
        }

        if (norm > _config.GradientClip)
        {
            gradient.mul_(Number(_config.GradientClip / norm));
        }

        Mean.mul_(Number(_config.Beta1)).add_(gradient, Number(1 - _config.Beta1));
        Variance.mul_(Number(_config.Beta2)).addcmul_(gradient, gradient, Number(1 - _config.Beta2));
        var clipped = double.IsFinite(_config.VarianceClip) ? Variance.clamp_max(Number(_config.VarianceClip)) : Variance;
        var deviation = clipped.div(Number(1 - Math.Pow(_config.Beta2, step + 1))).sqrt_().add_(Number(_config.Epsilon), One);
        if (_config.WeightDecay > 0)
        {
            _parameters.Master.narrow(0, 0, _parameters.DecayedCount).mul_(Number(1 - (learningRate * _config.WeightDecay)));
        }

        _parameters.Master.addcdiv_(Mean, deviation, Number(-learningRate / (1 - Math.Pow(_config.Beta1, step + 1))));
        _parameters.RefreshCompute();
        return norm;
    }

    private double OnePass(int step, double learningRate)
    {
        var norm = Math.Sqrt(AdamWKernel.SumOfSquares(_parameters.Gradient));
        if (double.IsFinite(norm))
        {
            var factors = new AdamWFactors(
                GradientFactor: (float)Math.Min(1, _config.GradientClip / norm),
                Beta1: (float)_config.Beta1,
                Beta2: (float)_config.Beta2,
                VarianceClip: (float)_config.VarianceClip,
                VarianceCorrection: (float)(1 / (1 - Math.Pow(_config.Beta2, step + 1))),
                Epsilon: (float)_config.Epsilon,
                StepSize: (float)(learningRate / (1 - Math.Pow(_config.Beta1, step + 1))),
                Shrink: (float)(1 - (learningRate * _config.WeightDecay)));
            AdamWKernel.Run(_parameters.Master, _parameters.Gradient, Mean, Variance, _parameters.DecayedCount, factors);
            _parameters.RefreshCompute();
        }

        return norm;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Mean.Dispose();
        Variance.Dispose();
    }
}
