using System.Runtime.InteropServices;
using Dalle.Model.Parameters;
using Dalle.Model.Randomness;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>
/// Trains a discrete VAE (paper, appendix A): one optimiser step at a time, each a pure function of (state, seed, step, batch). The loss is the relaxed ELBO per
/// sub-pixel: -ln p(x | z) + beta * KL(q, uniform), both divided by the number of sub-pixels, so that beta means the same at every size.
/// </summary>
/// <remarks>Used only on its device's thread.</remarks>
public sealed class DiscreteVaeTrainer : ICheckpointed, IDisposable
{
    private readonly DiscreteVaeTraining _training;
    private readonly ulong _seed;
    private readonly ParameterStore _parameters;
    private readonly ParameterStore _average;
    private readonly AdamW _optimizer;
    private readonly SlicedNetwork<DiscreteVae> _network;
    private readonly DiscreteVae _averagedNetwork;
    private int _nextStep;

    /// <summary>Allocates the networks and draws their initial weights from the seed.</summary>
    /// <exception cref="ArgumentException">The precision is one whose gradients need scales.</exception>
    public DiscreteVaeTrainer(DiscreteVaeConfig config, DiscreteVaeTraining training, ulong seed, Device device)
    {
        if (training.Precision == Precision.Float16)
        {
            throw new ArgumentException($"Expected a precision of {Precision.Float32} or {Precision.BFloat16} to train the discrete VAE in, got {training.Precision}.", nameof(training));
        }

        (_training, _seed) = (training, seed);
        var specs = DiscreteVae.Declare(config);
        _parameters = new ParameterStore(specs, training.Precision, device, trains: true);
        _average = new ParameterStore(specs, training.Precision, device, trains: false);
        _optimizer = new AdamW(_parameters, training.Optimizer);
        _network = new(_parameters, parameters => new DiscreteVae(config, parameters));
        _averagedNetwork = new DiscreteVae(config, _average);
        _parameters.Initialize(seed);
        using var untracked = no_grad();
        _average.Master.copy_(_parameters.Master);
    }

    /// <summary>The averaged weights as of now: what is published. Not to be changed or disposed.</summary>
    public ParameterStore AveragedParameters
    {
        get
        {
            _average.RefreshCompute();
            return _average;
        }
    }

    /// <summary>The network with the averaged weights as of now, for previews and encoding. Stale after the next step.</summary>
    public DiscreteVae AveragedNetwork
    {
        get
        {
            _average.RefreshCompute();
            return _averagedNetwork;
        }
    }

    /// <inheritdoc/>
    int ICheckpointed.Step
    {
        get => _nextStep;
        set => _nextStep = value;
    }

    /// <summary>Performs one update.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="pixels_BCHW">Its pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    /// <param name="report">Whether to measure; measuring changes nothing else.</param>
    /// <returns>The measurements, or null if none were asked for.</returns>
    public DiscreteVaeReport? Step(int step, Tensor pixels_BCHW, bool report = true)
    {
        var config = _network.Whole.Config;
        _network.Whole.RequirePixels(pixels_BCHW);
        using var scope = NewDisposeScope();
        var (tau, klWeight, learningRate) = (_training.Tau.At(step), _training.KlWeight.At(step), LearningRate(step));
        var usageWeight = _training.UsageEntropyWeight.At(step);
        var (batch, subPixels) = (pixels_BCHW.shape[0], pixels_BCHW.shape[0] * config.SubPixelCount);
        var slices = _network.Slices(batch);
        _network.ZeroGradients();

        // The relaxation looks at the whole batch; before and after it, slices go their own way.
        var logits = _network.Run(slices, (network, slice) => network.Encoder.Forward(slice.Of(pixels_BCHW)).DetachFromDisposeScope());
        Attach(scope, logits);
        var logits_NK = SlicedNetwork<DiscreteVae>.Join([.. logits.Select(part => part.detach())]);
        var relaxation = new Relaxation(logits_NK, Noise(step, logits_NK), tau, klWeight / subPixels, usageWeight);
        var decoded = _network.Run(slices, (network, slice) =>
        {
            var codes_nK = slice.Rows(relaxation.Codes_NK, config.TokenCount).detach().requires_grad_();
            var pixels_bCHW = slice.Of(pixels_BCHW);
            var maps_b6HW = network.Decoder.Forward(codes_nK);
            var share = LogitLaplace.NegativeLogLikelihood(maps_b6HW, pixels_bCHW, _training.LogScaleFloor).mul(Number((double)slice.Count / batch));
            share.backward();
            return (Reconstruction: share.item<float>(), Gradient_nK: codes_nK.grad!.DetachFromDisposeScope());
        });
        Attach(scope, decoded.Select(part => part.Gradient_nK));
        var measured = report ? Measure() : null;
        var gradient_NK = relaxation.LogitGradient(SlicedNetwork<DiscreteVae>.Join([.. decoded.Select(part => part.Gradient_nK)]));
        _network.Run(slices, (_, slice) =>
        {
            logits[slice.Index].backward([slice.Rows(gradient_NK, config.TokenCount)]);
            return true;
        });

        _network.CollectGradients();
        var norm = Math.Sqrt(_optimizer.SquaredNorm());
        if (double.IsFinite(norm))
        {
            _optimizer.Step(step, learningRate, norm);
            using var untracked = no_grad();
            _average.Master.mul_(Number(_training.AverageDecay)).add_(_parameters.Master, Number(1 - _training.AverageDecay));
        }

        _nextStep = step + 1;
        return measured is null ? null : measured with { GradientNorm = norm };

        DiscreteVaeReport Measure()
        {
            using var untracked = no_grad();
            var usage = new CodeUsage(config.CodebookSize);
            usage.Add(logits_NK.argmax(1));
            var kl = relaxation.TotalKl().item<float>() / subPixels;
            var likelihood = decoded.Sum(part => part.Reconstruction);
            var loss = likelihood + (klWeight * kl) - (usageWeight * relaxation.UsageEntropy().item<float>());
            return new(loss, likelihood, kl, klWeight, tau, learningRate, usage.Perplexity, 0);
        }
    }

    /// <summary>Measures the averaged weights on held-out pictures, float32 <c>[N, 3, H, W]</c> in [0, 1], a batch at a time.</summary>
    public DiscreteVaeEvaluation Evaluate(Tensor pixels_NCHW)
    {
        var network = AveragedNetwork;
        var usage = new CodeUsage(network.Config.CodebookSize);
        double squaredError = 0;
        for (long start = 0, count = pixels_NCHW.shape[0]; start < count; start += _training.BatchSize)
        {
            using var scope = NewDisposeScope();
            var pixels_BCHW = pixels_NCHW.narrow(0, start, Math.Min(_training.BatchSize, count - start));
            var tokens_Bhw = network.Encode(pixels_BCHW);
            usage.Add(tokens_Bhw);
            var error_BCHW = network.Decode(tokens_Bhw) - pixels_BCHW;
            squaredError += (error_BCHW * error_BCHW).sum().item<float>();
        }

        return new(10 * Math.Log10(pixels_NCHW.numel() / squaredError), usage.Perplexity, usage.CodesInUse);
    }

    /// <summary>All that the next update depends on besides seed, step and batch. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        .. ParameterFile.Views(_parameters, _parameters.Master, "parameters."),
        .. ParameterFile.Views(_parameters, _average.Master, "average."),
        .. _optimizer.NamedState(),
    ];

    /// <inheritdoc/>
    void ICheckpointed.OnRestored() => _parameters.RefreshCompute();

    /// <inheritdoc/>
    public void Dispose()
    {
        _network.Dispose();
        _optimizer.Dispose();
        _average.Dispose();
        _parameters.Dispose();
    }

    private double LearningRate(int step) => _training.LearningRate.At(step) * LinearWarmUp.At(step, _training.WarmUp);

    private static void Attach(DisposeScope scope, IEnumerable<Tensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            scope.Attach(tensor);
        }
    }

    private Tensor Noise(int step, Tensor logits_NK)
    {
        var count = checked((int)logits_NK.numel());
        var noise = empty(GumbelNoise.PaddedLength(count));
        GumbelNoise.Fill(MemoryMarshal.Cast<byte, float>(noise.bytes), _seed, Purpose.GumbelNoise, stream: 0, position: step);
        return noise.narrow(0, 0, count).view(logits_NK.shape).to(logits_NK.device);
    }
}
