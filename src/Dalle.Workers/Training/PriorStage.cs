using Dalle.Collectives.Compression;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Data.TokenCache;
using Dalle.Data.Tokenization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Safetensors;
using Dalle.Model.Sampling;
using Dalle.Model.Training;
using Dalle.Workers.Models;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>Trains the prior on captions and encoded pictures.</summary>
internal sealed class PriorStage : TrainingLoopStage<CaptionBatches, CaptionBatch>
{
    public override TrainingStage Stage => TrainingStage.Prior;

    protected override CaptionBatches OpenSource(StageContext context, IDataset dataset)
    {
        var cache = TokenCacheReader.Open(context.Folder.PathOf(EncodeStage.TokensFile));
        if (EncodeStage.FingerprintOf(context, dataset) is var fingerprint && cache.Header.Fingerprint != fingerprint)
        {
            cache.Dispose();
            throw new InvalidDataException($"Dataset '{context.Spec.Dataset}' or the job's encoder has changed since the pictures were encoded: expected {cache.Header.Fingerprint}, got {fingerprint}. Start a new job.");
        }

        var tokenizer = TextTokenizer.Load(context.Folder.Store.PathOf(context.Folder.Key));
        return new CaptionBatches(dataset, tokenizer, cache, context.Preset.Transformer, context.PriorTraining, context.Spec.Seed);
    }

    protected override IReadOnlyList<ParameterSpec> Declare(StageContext context) => TransformerParameters.Declare(context.Preset.Transformer);

    protected override CompressionSettings Compression(StageContext context) =>
        new(context.Spec.CompressionRank ?? context.Preset.CompressionRank, WarmUp: context.Preset.CompressionWarmUp);

    protected override IUpdates<CaptionBatch> Create(StageContext context, CaptionBatches source, HeldRows rows, Device device) =>
        new PriorUpdates(context, source, rows, device);
}

/// <summary>The updates of the prior.</summary>
internal sealed class PriorUpdates : IUpdates<CaptionBatch>
{
    /// <summary>Captions that an evaluation draws a picture for.</summary>
    private const int ShownCaptions = 8;

    private readonly StageContext _context;
    private readonly CaptionBatches _batches;
    private readonly Device _device;
    private readonly PriorTraining _training;
    private readonly TransformerConfig _config;
    private readonly PriorTrainer _trainer;
    private readonly ParameterStore _decoderParameters;
    private readonly DiscreteVae _decoder;
    private readonly IReadOnlyList<(string Caption, IReadOnlyList<int> Tokens)> _shown;

    public PriorUpdates(StageContext context, CaptionBatches batches, HeldRows rows, Device device)
    {
        (_context, _batches, _device, _training, _config) = (context, batches, device, context.PriorTraining, context.Preset.Transformer);
        _decoderParameters = new(DiscreteVae.Declare(context.Preset.DiscreteVae), context.DiscreteVaeTraining.Precision, device, trains: false);
        ParameterFile.Load(context.Folder.PathOf(ModelFolder.DiscreteVae), _decoderParameters);
        _decoder = new(context.Preset.DiscreteVae, _decoderParameters);
        _trainer = new(_config, _training, context.Spec.Seed, device, _decoder.Codebook, rows.Ranges, context.Lease.Placement.Workers);
        _shown = batches.ReadHeldOutCaptions(ShownCaptions);
    }

    public int Count => _training.Updates;

    public int EvaluateEvery => Math.Max(1, Count / 4);

    public IShardedTrainer Trainer => _trainer;

    public WorkerGrid Grid
    {
        private get => field ?? throw new InvalidOperationException("The workers are not placed.");
        set;
    }

    public CaptionBatch Prepare(int step) => _batches.Read(step);

    public IReadOnlyList<WorkerShare> Gradients(int step, CaptionBatch batch, IWorkerExchange exchange, bool measure)
    {
        using var scope = NewDisposeScope();
        var text_BT = tensor(batch.Text, [_training.BatchSize, _config.TextLength], device: _device);
        var image_BN = tensor(batch.Image, [_training.BatchSize, _config.ImageLength], device: _device);
        var batches = Grid.OwnWorkers.Select(worker => BatchRows.Of(_training.BatchSize, worker, Grid.Workers))
            .Select(rows => (text_BT.narrow(0, rows.First, rows.Count), image_BN.narrow(0, rows.First, rows.Count))).ToArray();
        return [.. _trainer.Gradients(batches, PredictedTokens.Of(text_BT, image_BN), exchange).Select(worker => new WorkerShare(
            [worker.Losses.Text, worker.Losses.Image], [.. (worker.Finite ?? []).Index().Where(resblock => !resblock.Item).Select(resblock => resblock.Index)]))];
    }

    public TrainingEvent? Apply(int step, Verdict verdict, Pace? pace)
    {
        bool[] finite = [.. Enumerable.Range(0, 2 * _config.Layers).Select(resblock => !verdict.NotFinite.Contains(resblock))];
        var report = _trainer.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), _training.Precision == Precision.Float16 ? finite : null, pace is not null);
        return report is null ? null : new PriorStepCompleted
        {
            Step = step + 1,
            Updates = Count,
            Loss = report.Loss,
            TextLoss = report.TextLoss,
            ImageLoss = report.ImageLoss,
            GradientNorm = report.GradientNorm,
            LearningRate = report.LearningRate,
            TokensPerSecond = pace!.Value.StepsPerSecond * _training.BatchSize * _config.SequenceLength,
            Remaining = pace.Value.Remaining,
            SmallestGradientScale = report.GradientScales?.Smallest,
            LargestGradientScale = report.GradientScales?.Largest,
            SkippedUpdates = report.GradientScales?.SkippedUpdates,
        };
    }

    public IEnumerable<TrainingEvent> Evaluate(int step)
    {
        using var scope = NewDisposeScope();
        using var sampler = new Sampler(_config, _trainer.AveragedParameters, new(Slots: 2 * _shown.Count, IdlePrompts: 0));
        var pictures = sampler.SampleAll([.. _shown.Select((caption, i) => new SequenceRequest(caption.Tokens, _context.Spec.Seed, i, _context.Preset.Sampling))]);
        long[] tokens = [.. pictures.SelectMany(picture => picture.Select(token => (long)token))];
        var pixels = _decoder.Decode(tensor(tokens, [pictures.Length, _config.GridSize, _config.GridSize], device: _device));
        var sheet = ContactSheet.Draw(
            [.. Pixels.ToPictures(pixels).Select((picture, i) => (picture, (string?)_shown[i].Caption))], new ContactSheetLayout { Columns = 4 });
        return [new SampleGridReady(TrainingStage.Prior, step, PngEncoder.Encode(sheet))];
    }

    public void Save() => ParameterFile.Save(_context.Folder.PathOf(ModelFolder.Prior), _trainer.AveragedParameters);

    public void Dispose()
    {
        _decoderParameters.Dispose();
        _trainer.Dispose();
    }
}
