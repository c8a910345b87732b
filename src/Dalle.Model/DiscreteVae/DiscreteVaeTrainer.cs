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
public sealed class DiscreteVaeTrainer : IShardedTrainer
{
    private readonly DiscreteVaeTraining _training;
    private readonly ulong _seed;
    private readonly int _workers;
    private readonly TrainedParameters _parameters;
    private readonly SlicedNetwork<DiscreteVae> _network;
    private DiscreteVae? _averagedNetwork;
    private int _nextStep;

    /// <summary>Allocates the networks and draws their initial weights from the seed.</summary>
    /// <param name="config">The networks' shape.</param>
    /// <param name="training">How they are trained.</param>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="device">Where they live.</param>
    /// <param name="held">The rows that this process holds, by parameter; none of those that it does not name. Null for all rows of all arrays.</param>
    /// <param name="workers">Workers that share an update.</param>
    /// <exception cref="ArgumentException">The precision is one whose gradients need scales, or rows are held that the networks do not declare.</exception>
    public DiscreteVaeTrainer(
        DiscreteVaeConfig config, DiscreteVaeTraining training, ulong seed, Device device, IReadOnlyDictionary<string, RowRange>? held = null, int workers = 1)
    {
        if (training.Precision == Precision.Float16)
        {
            throw new ArgumentException($"Expected a precision of {Precision.Float32} or {Precision.BFloat16} to train the discrete VAE in, got {training.Precision}.", nameof(training));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        (_training, _seed, _workers) = (training, seed, workers);
        _parameters = new(DiscreteVae.Declare(config), training.Precision, device, training.Optimizer, held);
        _network = new(Network, parameters => new DiscreteVae(config, parameters));
        Network.Initialize(seed);
        _parameters.Start(seed);
    }

    /// <inheritdoc/>
    public ParameterStore Network => _parameters.Network;

    /// <inheritdoc/>
    public ParameterStore Held => _parameters.Held;

    /// <inheritdoc/>
    public Tensor HeldAverage => _parameters.HeldAverage;

    /// <inheritdoc/>
    public ParameterStore Average => _parameters.Average;

    /// <summary><see cref="Average"/> with its compute copies as of now: what is published. Not to be changed or disposed.</summary>
    public ParameterStore AveragedParameters => _parameters.RefreshedAverage();

    /// <summary>The network with the averaged weights as of now, for previews and encoding. Stale after the next step.</summary>
    public DiscreteVae AveragedNetwork
    {
        get
        {
            Average.RefreshCompute();
            return _averagedNetwork ??= new(_network.Whole.Config, Average);
        }
    }

    /// <inheritdoc/>
    int ICheckpointed.Step
    {
        get => _nextStep;
        set => _nextStep = value;
    }

    /// <summary>Performs one update, of one worker that holds all rows: the gradients of the batch, applied.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="pixels_BCHW">Its pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    /// <param name="report">Whether to measure; measuring changes nothing else.</param>
    /// <returns>The measurements, or null if none were asked for.</returns>
    /// <exception cref="InvalidOperationException">Some rows are not held here.</exception>
    public DiscreteVaeReport? Step(int step, Tensor pixels_BCHW, bool report = true)
    {
        _parameters.RequireAllRows();
        var figures = Gradients(step, worker: 0, pixels_BCHW.shape[0], pixels_BCHW, report);
        return Apply(step, Math.Sqrt(SquaredNorm()), figures);
    }

    /// <summary>
    /// The first half of an update: leaves in the gradient of <see cref="Network"/>, and nowhere else, what a worker's rows add to that of the whole batch's loss. A process with several
    /// workers calls it for each, and keeps what it found before the next call.
    /// </summary>
    /// <remarks>
    /// Likelihood and KL are sums over rows, so the workers' gradients add up to the batch's. The bonus on the entropy of the mean code distribution is not: each worker sees the mean of its
    /// own rows alone, and its bonus counts by its share of the rows. Noise is a worker's own: one batch on other workers is relaxed by other noise.
    /// </remarks>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="worker">The worker, counted from 0: the stream of its noise.</param>
    /// <param name="batch">Pictures of the whole batch.</param>
    /// <param name="pixels_bCHW">The worker's pictures, float32 <c>[b, 3, H, W]</c> in [0, 1].</param>
    /// <param name="report">Whether to measure; measuring changes nothing else.</param>
    /// <returns>What the worker's rows add to the batch's figures, or null if none were asked for.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such worker, or the whole batch is smaller than the worker's part.</exception>
    public DiscreteVaeFigures? Gradients(int step, int worker, long batch, Tensor pixels_bCHW, bool report)
    {
        var config = _network.Whole.Config;
        _network.Whole.RequirePixels(pixels_bCHW);
        ArgumentOutOfRangeException.ThrowIfNegative(worker);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(worker, _workers);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, pixels_bCHW.shape[0]);
        using var scope = NewDisposeScope();
        var share = (double)pixels_bCHW.shape[0] / batch;
        var (tau, klWeight, usageWeight) = (_training.Tau.At(step), _training.KlWeight.At(step), _training.UsageEntropyWeight.At(step) * share);
        var subPixels = batch * config.SubPixelCount;
        var slices = _network.Slices(pixels_bCHW.shape[0]);
        _network.ZeroGradients();

        // The relaxation looks at all rows; before and after it, slices go their own way.
        var logits = _network.Run(slices, (network, slice) => network.Encoder.Forward(slice.Of(pixels_bCHW)).DetachFromDisposeScope());
        Attach(scope, logits);
        var logits_NK = SlicedNetwork<DiscreteVae>.Join([.. logits.Select(part => part.detach())]);
        var relaxation = new Relaxation(logits_NK, Noise(step, worker, logits_NK), tau, klWeight / subPixels, usageWeight);
        var decoded = _network.Run(slices, (network, slice) =>
        {
            var codes_nK = slice.Rows(relaxation.Codes_NK, config.TokenCount).detach().requires_grad_();
            var maps_b6HW = network.Decoder.Forward(codes_nK);
            var part = LogitLaplace.NegativeLogLikelihood(maps_b6HW, slice.Of(pixels_bCHW), _training.LogScaleFloor).mul(Number((double)slice.Count / batch));
            part.backward();
            return (Reconstruction: part.item<float>(), Gradient_nK: codes_nK.grad!.DetachFromDisposeScope());
        });
        Attach(scope, decoded.Select(part => part.Gradient_nK));
        DiscreteVaeFigures? figures = report ? Measure() : null;
        var gradient_NK = relaxation.LogitGradient(SlicedNetwork<DiscreteVae>.Join([.. decoded.Select(part => part.Gradient_nK)]));
        _network.Run(slices, (_, slice) =>
        {
            logits[slice.Index].backward([slice.Rows(gradient_NK, config.TokenCount)]);
            return true;
        });

        _network.CollectGradients();
        return figures;

        DiscreteVaeFigures Measure()
        {
            using var untracked = no_grad();
            var usage = new CodeUsage(config.CodebookSize);
            usage.Add(logits_NK.argmax(1));
            var kl = relaxation.TotalKl().item<float>() / subPixels;
            var likelihood = decoded.Sum(part => part.Reconstruction);
            var loss = likelihood + (klWeight * kl) - (usageWeight * relaxation.UsageEntropy().item<float>());
            return new(loss, likelihood, kl, usage.Perplexity * share);
        }
    }

    /// <inheritdoc/>
    public double SquaredNorm() => _parameters.Optimizer.SquaredNorm();

    /// <summary>The second half of an update: applies the gradient in <see cref="Held"/>.</summary>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="norm">Norm of the gradient of all rows. One that is not finite changes no weight: the update is skipped.</param>
    /// <param name="figures">The figures of the whole batch, the sum over its workers; null if they were not measured.</param>
    /// <returns>The report of the figures, or null without any.</returns>
    public DiscreteVaeReport? Apply(int step, double norm, DiscreteVaeFigures? figures = null)
    {
        var learningRate = LearningRate(step);
        if (double.IsFinite(norm))
        {
            _parameters.Optimizer.Step(step, learningRate, norm);
            _parameters.MoveAverage(_training.AverageDecay);
        }

        _nextStep = step + 1;
        return figures is not { } whole ? null : new(
            whole.Loss, whole.Reconstruction, whole.Kl, _training.KlWeight.At(step), _training.Tau.At(step), learningRate, whole.Perplexity, norm);
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
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => _parameters.NamedState();

    /// <inheritdoc/>
    void ICheckpointed.OnRestored() => Network.RefreshCompute();

    /// <inheritdoc/>
    public void Dispose()
    {
        _network.Dispose();
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

    private Tensor Noise(int step, int worker, Tensor logits_NK)
    {
        var count = checked((int)logits_NK.numel());
        var noise = empty(GumbelNoise.PaddedLength(count));
        GumbelNoise.Fill(MemoryMarshal.Cast<byte, float>(noise.bytes), _seed, Purpose.GumbelNoise, stream: worker, position: step);
        return noise.narrow(0, 0, count).view(logits_NK.shape).to(logits_NK.device);
    }
}
