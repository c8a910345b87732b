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
/// <param name="Moments">The format of running mean and variance of resblocks' weights.</param>
public sealed record AdamWConfig(
    double Beta1, double Beta2, double Epsilon, double WeightDecay,
    double VarianceClip = double.PositiveInfinity, double GradientClip = double.PositiveInfinity, MomentFormat Moments = MomentFormat.Float32);

/// <summary>AdamW over the flat arrays of a <see cref="ParameterStore"/>: a handful of passes whatever the number of parameters.</summary>
/// <remarks>Used only on the store's device thread.</remarks>
public sealed class AdamW : IDisposable
{
    // Moments that are decoded at a time where kernels do it not in passing: their floats would take twice the codes' memory.
    private const long DecodedAtATime = 1 << 24;

    private readonly ParameterStore _parameters;
    private readonly AdamWConfig _config;
    private readonly bool _onePass;

    /// <summary>Allocates the moments, all zero.</summary>
    public AdamW(ParameterStore parameters, AdamWConfig config)
        : this(parameters, config, onePass: TensorMemory.SuitsKernelsElementwise(parameters.Gradient))
    {
    }

    /// <param name="parameters">What is optimised; the caller keeps and disposes it.</param>
    /// <param name="config">The numbers.</param>
    /// <param name="onePass">Whether the kernel does it, or libtorch's operations.</param>
    internal AdamW(ParameterStore parameters, AdamWConfig config, bool onePass)
    {
        (_parameters, _config, _onePass) = (parameters, config, onePass);
        using var scope = NewDisposeScope();
        var coded = config.Moments == MomentFormat.Paper16;
        Mean = new(parameters, coded);
        Variance = new(parameters, coded);
    }

    /// <summary>Running mean of the gradient.</summary>
    internal Moment Mean { get; }

    /// <summary>Running mean of the squared gradient.</summary>
    internal Moment Variance { get; }

    /// <summary>The moments by parameter, for checkpoints: float32, or the bits of 16-bit codes as int16. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => [.. Mean.Views("optimizer.mean."), .. Variance.Views("optimizer.variance.")];

    /// <summary>The squared norm of the collected gradient, before clipping. Not finite if the gradient is not, or if it is too large to be squared in 32 bit.</summary>
    public double SquaredNorm()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        if (_onePass)
        {
            return AdamWKernel.SumOfSquares(_parameters.Gradient);
        }

        // The square of a 32-bit float is exact, and its root that float again.
        double norm = _parameters.Gradient.norm().item<float>();
        return norm * norm;
    }

    /// <summary>Applies the collected gradient and refreshes the compute copies.</summary>
    /// <param name="step">Number of the update, counted from 0.</param>
    /// <param name="learningRate">Step size of this update.</param>
    /// <param name="norm">
    /// What the gradient is clipped by: its norm, or that of a larger one of which it is a part. Finite: an update whose gradient is not is the caller's to skip.
    /// </param>
    public void Step(int step, double learningRate, double norm)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        if (_onePass)
        {
            StepOnePass(step, learningRate, norm);
        }
        else
        {
            StepManyPasses(step, learningRate, norm);
        }

        _parameters.RefreshCompute();
    }

    private void StepManyPasses(int step, double learningRate, double norm)
    {
        var gradient = _parameters.Gradient;
        if (norm > _config.GradientClip)
        {
            gradient.mul_(Number(_config.GradientClip / norm));
        }

        if (_config.WeightDecay > 0)
        {
            _parameters.Master.narrow(0, 0, _parameters.DecayedCount).mul_(Number(1 - (learningRate * _config.WeightDecay)));
        }

        var coded = Mean.Codes.numel();
        for (long start = 0; start < coded; start += DecodedAtATime)
        {
            StepCoded(start, Math.Min(DecodedAtATime, coded - start), step, learningRate);
        }

        StepPart(Rest(_parameters.Master), Rest(gradient), Mean.Floats, Variance.Floats, step, learningRate);
    }

    private void StepCoded(long start, long count, int step, double learningRate)
    {
        using var scope = NewDisposeScope();
        var (meanCodes, varianceCodes) = (Mean.Codes.narrow(0, start, count), Variance.Codes.narrow(0, start, count));
        var mean = CodeTensors.Decode(meanCodes, SixExponentBits.WithSign);
        var variance = CodeTensors.Decode(varianceCodes, SixExponentBits.WithoutSign);
        StepPart(_parameters.Master.narrow(0, start, count), _parameters.Gradient.narrow(0, start, count), mean, variance, step, learningRate);
        meanCodes.copy_(CodeTensors.Encode(mean, SixExponentBits.WithSign));
        varianceCodes.copy_(CodeTensors.Encode(variance, SixExponentBits.WithoutSign));
    }

    private void StepPart(Tensor parameters, Tensor gradient, Tensor mean, Tensor variance, int step, double learningRate)
    {
        mean.mul_(Number(_config.Beta1)).add_(gradient, Number(1 - _config.Beta1));
        variance.mul_(Number(_config.Beta2)).addcmul_(gradient, gradient, Number(1 - _config.Beta2));
        var clipped = double.IsFinite(_config.VarianceClip) ? variance.clamp_max(Number(_config.VarianceClip)) : variance;
        var deviation = clipped.div(Number(1 - Math.Pow(_config.Beta2, step + 1))).sqrt_().add_(Number(_config.Epsilon), One);
        parameters.addcdiv_(mean, deviation, Number(-learningRate / (1 - Math.Pow(_config.Beta1, step + 1))));
    }

    // What follows the part whose moments are codes.
    private Tensor Rest(Tensor flat) => flat.narrow(0, Mean.Codes.numel(), Mean.Floats.numel());

    private void StepOnePass(int step, double learningRate, double norm)
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
        var coded = Mean.Codes.numel();
        if (coded > 0)
        {
            var (weights, gradient) = (_parameters.Master.narrow(0, 0, coded), _parameters.Gradient.narrow(0, 0, coded));
            AdamWKernel.Run(weights, gradient, Mean.Codes, Variance.Codes, coded, factors);
        }

        AdamWKernel.Run(Rest(_parameters.Master), Rest(_parameters.Gradient), Mean.Floats, Variance.Floats, _parameters.DecayedCount - coded, factors);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Mean.Dispose();
        Variance.Dispose();
    }
}
