using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Randomness;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>Trains a prior (paper, section 2.2 and appendix B): one update at a time, each a pure function of (state, step, batch).</summary>
/// <remarks>Used only on its device's thread.</remarks>
public sealed class PriorTrainer : ICheckpointed, IDisposable
{
    /// <summary>
    /// Updates after which freed memory goes back to the system. Slices take and free their activations side by side, so the holes between them never quite fit, and
    /// what is kept for reuse would grow for hundreds of updates, to twice what is in use.
    /// </summary>
    private const int ReleaseEvery = 100;

    private readonly PriorTraining _training;
    private readonly ParameterStore _parameters;
    private readonly ParameterStore _average;
    private readonly AdamW _optimizer;
    private readonly PlateauTracker _plateau;
    private readonly GradientScales? _scales;
    private readonly ScaledGradients? _scaledGradients;
    private readonly SlicedNetwork<Transformer> _network;
    private readonly Transformer _averagedNetwork;
    private int _nextStep;

    /// <summary>Allocates the network and draws its initial weights from the seed.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="training">How it is trained.</param>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="codebook_KD">The discrete VAE's codebook, float32 <c>[K, D]</c>; needed where training starts from it, else not used.</param>
    /// <exception cref="ArgumentException">Training starts from the codebook, and there is none or one of another number of codes.</exception>
    public PriorTrainer(TransformerConfig config, PriorTraining training, ulong seed, Device device, Tensor? codebook_KD = null)
    {
        if (training.StartFromCodebook && codebook_KD?.shape[0] != config.ImageVocabulary)
        {
            throw new ArgumentException($"Expected a codebook of {config.ImageVocabulary} codes to start from, got {codebook_KD?.shape[0].ToString() ?? "none"}.", nameof(codebook_KD));
        }

        _training = training;
        var specs = TransformerParameters.Declare(config);
        _parameters = new ParameterStore(specs, training.Precision, device, trains: true);
        _average = new ParameterStore(specs, training.Precision, device, trains: false);
        _optimizer = new AdamW(_parameters, training.Optimizer);
        _plateau = new PlateauTracker(training.Plateau);
        var resblocks = TransformerParameters.Resblocks(config);
        _scales = training.Precision == Precision.Float16 ? new GradientScales(resblocks.Count) : null;
        _scaledGradients = _scales is null ? null : new ScaledGradients(_parameters, resblocks, _scales);
        _network = new(_parameters, parameters => new Transformer(config, parameters, _scales));
        _averagedNetwork = new Transformer(config, _average);
        _parameters.Initialize(seed);
        using var untracked = no_grad();
        if (training.StartFromCodebook)
        {
            StartFrom(codebook_KD!, config, seed);
        }

        _average.Master.copy_(_parameters.Master);
        _average.RefreshCompute();
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

    /// <inheritdoc/>
    int ICheckpointed.Step
    {
        get => _nextStep;
        set => _nextStep = value;
    }

    /// <summary>Performs one update.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="text_BT">Text tokens, int64 <c>[B, T]</c>, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64 <c>[B, N]</c>.</param>
    /// <param name="report">Whether figures are wanted; asking changes nothing else.</param>
    /// <returns>The figures, or null if none were asked for.</returns>
    public PriorReport? Step(int step, Tensor text_BT, Tensor image_BN, bool report = true)
    {
        using var scope = NewDisposeScope();
        var learningRate = LearningRate(step);
        _network.ZeroGradients();
        var whole = PredictedTokens.Of(text_BT, image_BN);
        var losses = _network.Run(_network.Slices(text_BT.shape[0]), (network, slice) =>
            network.AccumulateGradients(slice.Of(text_BT), slice.Of(image_BN), _training.TextLossWeight, _training.Recompute, whole)).Aggregate((a, b) => a + b);
        _network.CollectGradients();
        var finite = _scaledGradients?.Unscale();
        var norm = Math.Sqrt(_optimizer.SquaredNorm());
        _scales?.Observe(step, finite, skipped: !double.IsFinite(norm));
        var loss = losses.Weighted(_training.TextLossWeight);
        if (double.IsFinite(norm))
        {
            _optimizer.Step(step, learningRate, norm);
            _plateau.Observe(loss);
        }

        if ((step + 1) % _training.AverageEvery == 0)
        {
            using var untracked = no_grad();
            _average.Master.mul_(Number(_training.AverageDecay)).add_(_parameters.Master, Number(1 - _training.AverageDecay));
        }

        if ((step + 1) % ReleaseEvery == 0)
        {
            TorchRuntime.ReleaseFreedMemory();
        }

        _nextStep = step + 1;
        return report ? new(loss, losses.Text, losses.Image, norm, learningRate, _scales?.Report()) : null;
    }

    /// <summary>The losses of the averaged weights on a held-out batch.</summary>
    /// <param name="text_BT">Text tokens, int64 <c>[B, T]</c>, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64 <c>[B, N]</c>.</param>
    public PriorLosses Evaluate(Tensor text_BT, Tensor image_BN)
    {
        _average.RefreshCompute();
        return _averagedNetwork.Loss(text_BT, image_BN);
    }

    /// <summary>All that the next update depends on besides step and batch. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        .. ParameterFile.Views(_parameters, _parameters.Master, "parameters."),
        .. ParameterFile.Views(_parameters, _average.Master, "average."),
        .. _optimizer.NamedState(),
        ("plateau", _plateau.State.alias()),
        .. _scales?.NamedState() ?? [],
    ];

    /// <inheritdoc/>
    void ICheckpointed.OnRestored() => _parameters.RefreshCompute();

    /// <inheritdoc/>
    public void Dispose()
    {
        _averagedNetwork.Dispose();
        _network.Dispose();
        _scales?.Dispose();
        _plateau.Dispose();
        _optimizer.Dispose();
        _average.Dispose();
        _parameters.Dispose();
    }

    // A random projection keeps the angles between codes, about.
    private void StartFrom(Tensor codebook_KD, TransformerConfig config, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var generator = CounterRandom.Generator(seed, step: 0, worker: 0, Purpose.Initialization, "codebook");
        var centered_KD = codebook_KD.sub(codebook_KD.mean([0]));
        var projection_DC = randn([codebook_KD.shape[1], config.Width], generator: generator).to(codebook_KD.device);
        var projected_KC = centered_KD.mm(projection_DC);
        projected_KC.div_(projected_KC.std());
        using var token_KC = _parameters.View(_parameters.Master, "image.token");
        using var unembedding_KC = _parameters.View(_parameters.Master, "image.unembedding");
        token_KC.copy_(projected_KC).mul_(Number(config.EmbeddingDeviation));
        unembedding_KC.copy_(projected_KC).mul_(Number(config.UnembeddingDeviation));
    }

    // Linear warm-up, then constant with halvings on plateau, or the cosine.
    private double LearningRate(int step) => _training.LearningRate * LinearWarmUp.At(step, _training.WarmUp)
        * (_training.CosineFloor is { } floor ? new CosineSchedule(1, floor, _training.Updates).At(step) : _plateau.Factor);
}
