using Dalle.Collectives.Compression;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Data.Tokenization;
using Dalle.Model.Parameters;
using Dalle.Model.Reranking;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using Dalle.Workers.Models;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>Trains the reranker on pictures and captions; done at once in a job that has none.</summary>
internal sealed class RerankerStage : TrainingLoopStage<PairBatches, PairBatch[]>
{
    public override TrainingStage Stage => TrainingStage.Reranker;

    protected override bool HasWork(StageContext context) => context.RerankerTraining is not null;

    protected override PairBatches OpenSource(StageContext context, IDataset dataset) => new(
        dataset, TextTokenizer.Load(context.Folder.Store.PathOf(context.Folder.Key)), context.Preset.Reranker!, context.RerankerTraining!.BatchSize, context.Spec.Seed);

    protected override IReadOnlyList<ParameterSpec> Declare(StageContext context) => RerankerParameters.Declare(context.Preset.Reranker!);

    // The paper compresses the prior's gradients alone.
    protected override CompressionSettings Compression(StageContext context) => new(Rank: 0);

    protected override IUpdates<PairBatch[]> Create(StageContext context, PairBatches source, HeldRows rows, Device device) =>
        new RerankerUpdates(context, source, rows, device);
}

/// <summary>The updates of the reranker.</summary>
internal sealed class RerankerUpdates : IUpdates<PairBatch[]>
{
    /// <summary>Held-out pairs that an evaluation measures, at most.</summary>
    private const int EvaluatedPairs = 256;

    private readonly StageContext _context;
    private readonly PairBatches _batches;
    private readonly Device _device;
    private readonly RerankerConfig _config;
    private readonly RerankerTraining _training;
    private readonly RerankerTrainer _trainer;
    private readonly PairBatch _heldOut;

    public RerankerUpdates(StageContext context, PairBatches batches, HeldRows rows, Device device)
    {
        (_context, _batches, _device, _config, _training) = (context, batches, device, context.Preset.Reranker!, context.RerankerTraining!);
        _trainer = new(_config, _training, context.Spec.Seed, device, rows.Ranges);
        _heldOut = batches.ReadHeldOut(EvaluatedPairs);
    }

    public int Count => _training.Updates;

    public int EvaluateEvery => Math.Max(1, Count / 4);

    public IShardedTrainer Trainer => _trainer;

    public WorkerGrid Grid
    {
        private get => field ?? throw new InvalidOperationException("The workers are not placed.");
        set;
    }

    public PairBatch[] Prepare(int step) => [.. Grid.OwnWorkers.Select(worker => _batches.Read(step, BatchRows.Of(_training.BatchSize, worker, Grid.Workers)))];

    public IReadOnlyList<WorkerShare> Gradients(int step, PairBatch[] batch, IWorkerExchange exchange, bool measure)
    {
        using var scope = NewDisposeScope();
        var shares = new WorkerShare[batch.Length];
        for (var i = 0; i < shares.Length; i++)
        {
            var loss = _trainer.Gradients(_training.BatchSize, PixelsOf(batch[i]), TextOf(batch[i]));
            exchange.Add(i, _trainer.Network.Gradient);
            shares[i] = new([loss], []);
        }

        return shares;
    }

    public TrainingEvent? Apply(int step, Verdict verdict, Pace? pace)
    {
        var report = _trainer.Apply(step, verdict.Norm, pace is null ? null : verdict.Figures[0]);
        return report is null ? null : new RerankerStepCompleted
        {
            Step = step + 1,
            Updates = Count,
            Loss = report.Loss,
            Temperature = report.Temperature,
            GradientNorm = report.GradientNorm,
            LearningRate = report.LearningRate,
            PairsPerSecond = pace!.Value.StepsPerSecond * _training.BatchSize,
            Remaining = pace.Value.Remaining,
        };
    }

    public IEnumerable<TrainingEvent> Evaluate(int step)
    {
        using var scope = NewDisposeScope();
        var measured = _trainer.Evaluate(PixelsOf(_heldOut), TextOf(_heldOut));
        return
        [
            new RerankerEvaluated
            {
                Step = step, Loss = measured.Loss, ImageToText = measured.Accuracy.ImageToText, TextToImage = measured.Accuracy.TextToImage, Pairs = measured.Accuracy.Pairs,
                BatchSize = measured.Accuracy.BatchSize, OfTrainingPictures = !_batches.HasHeldOut,
            },
        ];
    }

    public void Save() => ParameterFile.Save(_context.Folder.PathOf(ModelFolder.Reranker), _trainer.AveragedParameters);

    public void Dispose() => _trainer.Dispose();

    private Tensor PixelsOf(PairBatch batch) => Pixels.ToTensor(batch.Pixels, _config.ImageSize, _device);

    private Tensor TextOf(PairBatch batch) => tensor(batch.Text, [batch.Text.Length / _config.TextLength, _config.TextLength], device: _device);
}
