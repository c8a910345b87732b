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
public sealed class PriorTrainer : IShardedTrainer
{
    /// <summary>
    /// Updates after which freed memory goes back to the system. Slices take and free their activations side by side, so the holes between them never quite fit, and
    /// what is kept for reuse would grow for hundreds of updates, to twice what is in use.
    /// </summary>
    private const int ReleaseEvery = 25;

    private readonly PriorTraining _training;
    private readonly TransformerConfig _config;
    private readonly TrainedParameters _parameters;
    private readonly PlateauTracker _plateau;
    private readonly GradientScales? _scales;
    private readonly ScaledGradients? _scaledGradients;
    private readonly SlicedNetwork<Transformer>? _network;
    private readonly StreamedTransformer? _streamed;
    private Transformer? _averagedNetwork;
    private int _nextStep;

    /// <summary>Allocates the network and draws its initial weights from the seed.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="training">How it is trained.</param>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="codebook_KD">The discrete VAE's codebook, float32 <c>[K, D]</c>; needed where training starts from it, else not used.</param>
    /// <param name="held">The rows that this process holds, by parameter; none of those that it does not name. Null for all rows of all arrays.</param>
    /// <param name="workers">Workers that share an update: gradient scales are as many times as large.</param>
    /// <exception cref="ArgumentException">
    /// Training starts from the codebook, and there is none or one of another number of codes; or rows are held that the network does not declare.
    /// </exception>
    public PriorTrainer(
        TransformerConfig config, PriorTraining training, ulong seed, Device device, Tensor? codebook_KD = null, IReadOnlyDictionary<string, RowRange>? held = null, int workers = 1)
    {
        if (training.StartFromCodebook && codebook_KD?.shape[0] != config.ImageVocabulary)
        {
            throw new ArgumentException($"Expected a codebook of {config.ImageVocabulary} codes to start from, got {codebook_KD?.shape[0].ToString() ?? "none"}.", nameof(codebook_KD));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        (_config, _training) = (config, training);
        var resblocks = TransformerParameters.Resblocks(config);
        _parameters = new(TransformerParameters.Declare(config), training.Precision, device, training.Optimizer, held, streamed: resblocks);
        _plateau = new PlateauTracker(training.Plateau);
        _scales = training.Precision == Precision.Float16 ? new GradientScales(resblocks.Count, workers) : null;
        if (Held == Network)
        {
            _scaledGradients = _scales is null ? null : new ScaledGradients(Network, resblocks, _scales);
            _network = new(Network, parameters => new Transformer(config, parameters, _scales));
        }
        else
        {
            _streamed = new(config, training, Network, _scales);
        }

        Network.Initialize(seed);
        if (training.StartFromCodebook)
        {
            StartFrom(codebook_KD!, config, seed);
        }

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

    /// <inheritdoc/>
    int ICheckpointed.Step
    {
        get => _nextStep;
        set => _nextStep = value;
    }

    /// <summary>Bytes of the arrays that are whole here, and of gradients of workers: what a process has beside the state of its rows.</summary>
    internal long WholeBytes => _streamed?.Bytes ?? Network.Bytes;

    /// <summary>Performs one update, of one worker that holds all rows: the gradients of the batch, applied.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="text_BT">Text tokens, int64 <c>[B, T]</c>, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64 <c>[B, N]</c>.</param>
    /// <param name="report">Whether figures are wanted; asking changes nothing else.</param>
    /// <returns>The figures, or null if none were asked for.</returns>
    /// <exception cref="InvalidOperationException">Some rows are not held here.</exception>
    public PriorReport? Step(int step, Tensor text_BT, Tensor image_BN, bool report = true)
    {
        var gradients = Gradients(text_BT, image_BN, PredictedTokens.Of(text_BT, image_BN));
        return Apply(step, Math.Sqrt(SquaredNorm()), gradients.Losses, gradients.Finite, report);
    }

    /// <summary>
    /// The first half of an update: finds what the rows of each worker of this process add to the gradient of the whole batch's loss, free of gradient scales, and gives it to the exchange.
    /// Where some rows are held by other processes, resblocks are gathered one after the other; then all those processes must do this at the same time.
    /// </summary>
    /// <param name="batches">Of each worker text tokens, int64 <c>[b, T]</c>, -1 where there is none, and image tokens in raster order, int64 <c>[b, N]</c>.</param>
    /// <param name="whole">The predicted tokens of the whole batch: not the sum of its parts', each of which counts at least 1.</param>
    /// <param name="exchange">Takes the gradients; to be disposed of before the next update.</param>
    /// <returns>By worker.</returns>
    public IReadOnlyList<PriorGradients> Gradients(IReadOnlyList<(Tensor Text_bT, Tensor Image_bN)> batches, PredictedTokens whole, IWorkerExchange exchange)
    {
        if (_streamed is not null)
        {
            return _streamed.Gradients(batches, whole, exchange);
        }

        var gradients = new PriorGradients[batches.Count];
        foreach (var (worker, batch) in batches.Index())
        {
            gradients[worker] = Gradients(batch.Text_bT, batch.Image_bN, whole);
            exchange.Add(worker, Network.Gradient);
        }

        return gradients;
    }

    /// <summary>The same for one worker of a process that holds all rows: leaves the gradient in that of <see cref="Network"/>.</summary>
    /// <param name="text_bT">Text tokens of the worker's rows, int64 <c>[b, T]</c>, -1 where there is none.</param>
    /// <param name="image_bN">Image tokens in raster order, int64 <c>[b, N]</c>.</param>
    /// <param name="whole">The predicted tokens of the whole batch.</param>
    /// <exception cref="InvalidOperationException">Some rows are not held here.</exception>
    public PriorGradients Gradients(Tensor text_bT, Tensor image_bN, PredictedTokens whole)
    {
        _parameters.RequireAllRows();
        using var scope = NewDisposeScope();
        _network!.ZeroGradients();
        var losses = _network.Run(_network.Slices(text_bT.shape[0]), (network, slice) =>
            network.AccumulateGradients(slice.Of(text_bT), slice.Of(image_bN), _training.TextLossWeight, _training.Recompute, whole)).Aggregate((a, b) => a + b);
        _network.CollectGradients();
        return new(losses, _scaledGradients?.Unscale());
    }

    /// <inheritdoc/>
    public double SquaredNorm() => _parameters.Optimizer.SquaredNorm();

    /// <summary>The second half of an update: applies the gradient in <see cref="Held"/>. To end alike, processes that share updates give the same numbers.</summary>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="norm">Norm of the gradient of all rows. One that is not finite changes no weight: the update is skipped.</param>
    /// <param name="losses">The losses of the whole batch: the sum over its workers.</param>
    /// <param name="finite">For each resblock, whether its gradients are finite on every worker; null where the precision needs no gradient scales.</param>
    /// <param name="report">Whether figures are wanted; asking changes nothing else.</param>
    /// <returns>The figures, or null if none were asked for.</returns>
    /// <exception cref="ArgumentException">There are not as many answers as resblocks have scales, or the norm is finite though some gradient is not; nothing was changed.</exception>
    public PriorReport? Apply(int step, double norm, PriorLosses losses, IReadOnlyList<bool>? finite, bool report = true)
    {
        var (learningRate, loss) = (LearningRate(step), losses.Weighted(_training.TextLossWeight));
        _scales?.Observe(step, finite?.ToArray(), skipped: !double.IsFinite(norm));
        if (double.IsFinite(norm))
        {
            _parameters.Optimizer.Step(step, learningRate, norm);
            _plateau.Observe(loss);
        }

        if ((step + 1) % _training.AverageEvery == 0)
        {
            _parameters.MoveAverage(_training.AverageDecay);
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
        _averagedNetwork ??= new Transformer(_config, Average);
        Average.RefreshCompute();
        return _averagedNetwork.Loss(text_BT, image_BN);
    }

    /// <summary>All that the next update depends on besides step and batch. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        .. _parameters.NamedState(),
        ("plateau", _plateau.State.alias()),
        .. _scales?.NamedState() ?? [],
    ];

    /// <inheritdoc/>
    void ICheckpointed.OnRestored() => Network.RefreshCompute();

    /// <inheritdoc/>
    public void Dispose()
    {
        _averagedNetwork?.Dispose();
        _network?.Dispose();
        _streamed?.Dispose();
        _scales?.Dispose();
        _plateau.Dispose();
        _parameters.Dispose();
    }

    // A random projection keeps the angles between codes, about.
    private void StartFrom(Tensor codebook_KD, TransformerConfig config, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        using var generator = CounterRandom.Generator(seed, step: 0, worker: 0, Purpose.Initialization, "codebook");
        var centered_KD = codebook_KD.sub(codebook_KD.mean([0]));
        var projection_DC = randn([codebook_KD.shape[1], config.Width], generator: generator).to(codebook_KD.device);
        var projected_KC = centered_KD.mm(projection_DC);
        projected_KC.div_(projected_KC.std());
        using var token_KC = Network.View(Network.Master, "image.token");
        using var unembedding_KC = Network.View(Network.Master, "image.unembedding");
        token_KC.copy_(projected_KC).mul_(Number(config.EmbeddingDeviation));
        unembedding_KC.copy_(projected_KC).mul_(Number(config.UnembeddingDeviation));
    }

    // Linear warm-up, then constant with halvings on plateau, or the cosine.
    private double LearningRate(int step) => _training.LearningRate * LinearWarmUp.At(step, _training.WarmUp)
        * (_training.CosineFloor is { } floor ? new CosineSchedule(1, floor, _training.Updates).At(step) : _plateau.Factor);
}
