using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

/// <summary>Trains a reranker: one update at a time, each a pure function of (state, step, batch).</summary>
/// <remarks>Used only on its device's thread.</remarks>
public sealed class RerankerTrainer : IShardedTrainer
{
    private readonly RerankerTraining _training;
    private readonly TrainedParameters _parameters;
    private readonly SlicedNetwork<Reranker> _network;
    private Reranker? _averagedNetwork;
    private int _nextStep;

    /// <summary>Allocates the network and draws its initial weights from the seed.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="training">How it is trained.</param>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="held">The rows that this process holds, by parameter; none of those that it does not name. Null for all rows of all arrays.</param>
    /// <exception cref="ArgumentException">
    /// The numbers make no network or no training, the precision is one whose gradients need scales, or rows are held that the network does not declare.
    /// </exception>
    public RerankerTrainer(RerankerConfig config, RerankerTraining training, ulong seed, Device device, IReadOnlyDictionary<string, RowRange>? held = null)
    {
        if (training.Precision == Precision.Float16)
        {
            throw new ArgumentException($"Expected a precision of {Precision.Float32} or {Precision.BFloat16} to train the reranker in, got {training.Precision}.", nameof(training));
        }

        config.Validate();
        training.Validate();
        _training = training;
        _parameters = new(RerankerParameters.Declare(config), training.Precision, device, training.Optimizer, held);
        _network = new(Network, parameters => new Reranker(config, parameters));
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

    /// <summary>The network with the averaged weights as of now. Stale after the next step.</summary>
    public Reranker AveragedNetwork
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
    /// <param name="text_BT">Their text tokens, int64 <c>[B, T]</c>, -1 where there is none.</param>
    /// <param name="report">Whether figures are wanted; asking changes nothing else.</param>
    /// <returns>The figures, or null if none were asked for.</returns>
    /// <exception cref="InvalidOperationException">Some rows are not held here.</exception>
    public RerankerReport? Step(int step, Tensor pixels_BCHW, Tensor text_BT, bool report = true)
    {
        _parameters.RequireAllRows();
        var loss = Gradients(pixels_BCHW.shape[0], pixels_BCHW, text_BT);
        return Apply(step, Math.Sqrt(SquaredNorm()), report ? loss : null);
    }

    /// <summary>
    /// The first half of an update: leaves in the gradient of <see cref="Network"/>, and nowhere else, what a worker's rows add to that of the whole batch's loss. A process with several
    /// workers calls it for each, and keeps what it found before the next call.
    /// </summary>
    /// <remarks>A pair is told apart from the other pairs of its worker alone, so the loss depends on how many workers the job has, not on where they are.</remarks>
    /// <param name="batch">Pairs of the whole batch.</param>
    /// <param name="pixels_bCHW">The worker's pictures, float32 <c>[b, 3, H, W]</c> in [0, 1].</param>
    /// <param name="text_bT">Their text tokens, int64 <c>[b, T]</c>, -1 where there is none.</param>
    /// <returns>What the worker's rows add to the batch's loss, in nats.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The whole batch is smaller than the worker's part.</exception>
    public double Gradients(long batch, Tensor pixels_bCHW, Tensor text_bT)
    {
        _network.Whole.RequirePixels(pixels_bCHW);
        var rows = pixels_bCHW.shape[0];
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, rows);
        if (text_bT.shape[0] != rows)
        {
            throw new ArgumentException($"Expected text of {rows} pictures, got that of {text_bT.shape[0]}.", nameof(text_bT));
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        _network.ZeroGradients();

        // The loss looks at all rows; before and after it, slices go their own way.
        var slices = _network.Slices(rows);
        var passes = _network.Run(slices, (network, slice) => network.Begin(slice.Of(pixels_bCHW), slice.Of(text_bT), _training.Recompute));
        try
        {
            var image_bE = SlicedNetwork<Reranker>.Join([.. passes.Select(pass => pass.Image)]);
            var text_bE = SlicedNetwork<Reranker>.Join([.. passes.Select(pass => pass.Text)]);
            var gradients = ContrastiveLoss.WithGradients(image_bE, text_bE, _network.Whole.LogScale, batch);
            Network.GradientOf(RerankerParameters.LogScale).add_(gradients.LogScale, One);
            _network.Run(slices, (_, slice) =>
            {
                passes[slice.Index].Backward(slice.Of(gradients.Image), slice.Of(gradients.Text), slice.Of(pixels_bCHW), slice.Of(text_bT));
                return true;
            });
            _network.CollectGradients();
            return gradients.Loss;
        }
        finally
        {
            foreach (var pass in passes)
            {
                pass.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public double SquaredNorm() => _parameters.Optimizer.SquaredNorm();

    /// <summary>The second half of an update: applies the gradient in <see cref="Held"/>, and keeps the scale at most at 100.</summary>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="norm">Norm of the gradient of all rows. One that is not finite changes no weight: the update is skipped.</param>
    /// <param name="loss">The loss of the whole batch, the sum over its workers; null if no figures are wanted.</param>
    /// <returns>The figures, or null without a loss.</returns>
    public RerankerReport? Apply(int step, double norm, double? loss = null)
    {
        var learningRate = LearningRate(step);
        var report = loss is { } whole ? new RerankerReport(whole, _network.Whole.Temperature, learningRate, norm) : null;
        if (double.IsFinite(norm))
        {
            _parameters.Optimizer.Step(step, learningRate, norm);
            ClampScale();
            _parameters.MoveAverage(_training.AverageDecay);
        }

        _nextStep = step + 1;
        return report;
    }

    /// <summary>Measures the averaged weights on held-out pairs.</summary>
    /// <param name="pixels_NCHW">Pictures, float32 <c>[N, 3, H, W]</c> in [0, 1].</param>
    /// <param name="text_NT">Their text tokens, int64 <c>[N, T]</c>, -1 where there is none.</param>
    /// <param name="batch">Pairs that each is sought among; fewer only where there are fewer in all.</param>
    public RerankerEvaluation Evaluate(Tensor pixels_NCHW, Tensor text_NT, int batch = RetrievalAccuracy.UsualBatch)
    {
        using var scope = NewDisposeScope();
        var (network, pairs) = (AveragedNetwork, pixels_NCHW.shape[0]);
        var (images, texts, loss) = (new List<Tensor>(), new List<Tensor>(), 0.0);
        foreach (var (start, count) in RetrievalAccuracy.Batches(pairs, batch))
        {
            var (image_BE, text_BE) = (network.EmbedPictures(pixels_NCHW.narrow(0, start, count)), network.EmbedText(text_NT.narrow(0, start, count)));
            loss += ContrastiveLoss.Of(image_BE, text_BE, network.LogScale) * count / pairs;
            images.Add(image_BE);
            texts.Add(text_BE);
        }

        return new(loss, RetrievalAccuracy.Of(cat([.. images]), cat([.. texts]), text_NT, batch));
    }

    /// <summary>All that the next update depends on besides step and batch. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() => _parameters.NamedState();

    /// <inheritdoc/>
    void ICheckpointed.OnRestored() => Network.RefreshCompute();

    /// <inheritdoc/>
    public void Dispose()
    {
        _averagedNetwork?.Dispose();
        _network.Dispose();
        _parameters.Dispose();
    }

    private double LearningRate(int step) => _training.LearningRate * LinearWarmUp.At(step, _training.WarmUp) * new CosineSchedule(1, 0, _training.Updates).At(step);

    // Where the scale's row is held; elsewhere there is nothing to clamp.
    private void ClampScale()
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Held.View(Held.Master, RerankerParameters.LogScale).clamp_max_(Number(ContrastiveLoss.LargestLogScale));
    }
}
