using System.Runtime.InteropServices;
using Dalle.Model.Parameters;
using Dalle.Model.Randomness;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>
/// Trains a discrete VAE (paper, appendix A): one optimiser step at a time, each a pure function of (state, seed, step, batch). The loss is the relaxed ELBO per
/// sub-pixel: -ln p(x | z) + beta * KL(q, uniform), both divided by the number of sub-pixels, so that beta means the same at every size.
/// </summary>
/// <remarks>Used only on its device's thread.</remarks>
public sealed class DiscreteVaeTrainer : IDisposable
{
    private readonly DiscreteVaeTraining _training;
    private readonly ulong _seed;
    private readonly ParameterStore _parameters;
    private readonly ParameterStore _average;
    private readonly AdamW _optimizer;
    private readonly DiscreteVae _network;
    private readonly DiscreteVae _averagedNetwork;
    private readonly Dictionary<string, Tensor> _state;

    /// <summary>Allocates the networks and draws their initial weights from the seed.</summary>
    public DiscreteVaeTrainer(DiscreteVaeConfig config, DiscreteVaeTraining training, ulong seed, Device device)
    {
        (_training, _seed) = (training, seed);
        var specs = DiscreteVae.Declare(config);
        _parameters = new ParameterStore(specs, training.Precision, device, trains: true);
        _average = new ParameterStore(specs, training.Precision, device, trains: false);
        _optimizer = new AdamW(_parameters, training.Optimizer);
        _network = new DiscreteVae(config, _parameters);
        _averagedNetwork = new DiscreteVae(config, _average);
        _parameters.Initialize(seed);
        _average.Initialize(seed);
        _state = new(StringComparer.Ordinal);
        foreach (var (part, flat) in new[] { ("parameters", _parameters.Master), ("average", _average.Master), ("mean", _optimizer.Mean), ("variance", _optimizer.Variance) })
        {
            foreach (var spec in specs)
            {
                _state.Add($"{part}/{spec.Name}", _parameters.View(flat, spec.Name).DetachFromDisposeScope());
            }
        }
    }

    /// <summary>
    /// All that the next update depends on besides seed, step and batch: <c>parameters/</c>, <c>average/</c> (what is published), <c>mean/</c> and <c>variance/</c>
    /// (AdamW) of every checkpoint key, float32. The tensors are the live ones: copy them before the next step, do not dispose them.
    /// </summary>
    public IReadOnlyDictionary<string, Tensor> State => _state;

    /// <summary>The network with the averaged weights as of now, for encoding, previews and publishing. Valid until the next step.</summary>
    public DiscreteVae Averaged()
    {
        _average.RefreshCompute();
        return _averagedNetwork;
    }

    /// <summary>Replaces the state by a saved one.</summary>
    /// <exception cref="ArgumentException">A tensor is missing, is not of this network, or has another shape.</exception>
    public void Load(IReadOnlyDictionary<string, Tensor> state)
    {
        if (state.Keys.FirstOrDefault(name => !_state.ContainsKey(name)) is { } unknown)
        {
            throw new ArgumentException($"The state has a tensor '{unknown}', which this network does not.", nameof(state));
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var (name, target) in _state)
        {
            if (!state.TryGetValue(name, out var source) || !source.shape.SequenceEqual(target.shape))
            {
                throw new ArgumentException($"Expected a tensor '{name}' [{string.Join(", ", target.shape)}], got {(source is null ? "none" : $"[{string.Join(", ", source.shape)}]")}.", nameof(state));
            }

            target.copy_(source);
        }

        _parameters.RefreshCompute();
    }

    /// <summary>Performs one update.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="pixels_BCHW">Its pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    /// <param name="report">Whether to measure; measuring changes nothing else.</param>
    /// <returns>The measurements, or null if none were asked for.</returns>
    public DiscreteVaeReport? Step(int step, Tensor pixels_BCHW, bool report = true)
    {
        _network.RequirePixels(pixels_BCHW);
        using var scope = NewDisposeScope();
        var (tau, klWeight, learningRate) = (_training.Tau.At(step), _training.KlWeight.At(step), _training.LearningRate.At(step));
        var subPixels = pixels_BCHW.shape[0] * _network.Config.SubPixelCount;
        _parameters.ZeroGradients();

        var logits_NK = _network.Encoder.Forward(pixels_BCHW);
        var relaxation = new Relaxation(logits_NK.detach(), Noise(step, logits_NK), tau, klWeight / subPixels, _training.UsageEntropyWeight);
        var maps_B6HW = _network.Decoder.Forward(relaxation.Codes_NK.requires_grad_());
        var reconstruction = LogitLaplace.NegativeLogLikelihood(maps_B6HW, pixels_BCHW, _training.LogScaleFloor);
        var measured = report ? Measure() : null;
        reconstruction.backward();
        using (no_grad())
        {
            logits_NK.backward([relaxation.LogitGradient(relaxation.Codes_NK.grad!)]);
        }

        _parameters.CollectGradients();
        var norm = _optimizer.Step(step, learningRate);
        using (no_grad())
        {
            _average.Master.mul_(_training.AverageDecay).add_(_parameters.Master, 1 - _training.AverageDecay);
        }

        return measured is null ? null : measured with { GradientNorm = norm };

        DiscreteVaeReport Measure()
        {
            using var untracked = no_grad();
            var usage = new CodeUsage(_network.Config.CodebookSize);
            usage.Add(logits_NK.argmax(1));
            var kl = relaxation.TotalKl().item<float>() / subPixels;
            var likelihood = reconstruction.item<float>();
            var loss = likelihood + (klWeight * kl) - (_training.UsageEntropyWeight * relaxation.UsageEntropy().item<float>());
            return new(loss, likelihood, kl, klWeight, tau, learningRate, usage.Perplexity, 0);
        }
    }

    /// <summary>Measures the averaged weights on held-out pictures, float32 <c>[N, 3, H, W]</c> in [0, 1], a batch at a time.</summary>
    public DiscreteVaeEvaluation Evaluate(Tensor pixels_NCHW)
    {
        var network = Averaged();
        var usage = new CodeUsage(network.Config.CodebookSize);
        double squaredError = 0;
        for (long start = 0, count = pixels_NCHW.shape[0]; start < count; start += _training.BatchSize)
        {
            using var scope = NewDisposeScope();
            var pixels_BCHW = pixels_NCHW.narrow(0, start, Math.Min(_training.BatchSize, count - start));
            var tokens_Bhw = network.Encode(pixels_BCHW);
            usage.Add(tokens_Bhw);
            squaredError += (network.Decode(tokens_Bhw) - pixels_BCHW).square().sum().item<float>();
        }

        return new(10 * Math.Log10(pixels_NCHW.numel() / squaredError), usage.Perplexity, usage.CodesInUse);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _state.Values)
        {
            tensor.Dispose();
        }

        _optimizer.Dispose();
        _average.Dispose();
        _parameters.Dispose();
    }

    private Tensor Noise(int step, Tensor logits_NK)
    {
        var noise = empty(logits_NK.shape);
        GumbelNoise.Fill(MemoryMarshal.Cast<byte, float>(noise.bytes), CounterRandom.Key(_seed, step, worker: 0, Purpose.GumbelNoise));
        return noise.to(logits_NK.device);
    }
}
