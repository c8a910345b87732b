using Dalle.Collectives.Compression;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Data.Pictures;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Model.Training;
using Dalle.Workers.Models;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>Trains the discrete VAE.</summary>
internal sealed class DiscreteVaeStage : TrainingLoopStage<PictureBatches, float[][]>
{
    public override TrainingStage Stage => TrainingStage.DiscreteVae;

    // Captions speak of left and right, so pictures are not flipped: the paper is not clear about it (appendix A.2).
    protected override PictureBatches OpenSource(StageContext context, IDataset dataset) =>
        new PictureBatches(dataset, context.Spec.Seed, context.DiscreteVaeTraining.BatchSize, context.Preset.DiscreteVae.ImageSize, flip: false);

    protected override IReadOnlyList<ParameterSpec> Declare(StageContext context) => DiscreteVae.Declare(context.Preset.DiscreteVae);

    // The paper compresses the prior's gradients alone.
    protected override CompressionSettings Compression(StageContext context) => new(Rank: 0);

    protected override IUpdates<float[][]> Create(StageContext context, PictureBatches source, HeldRows rows, Device device) =>
        new DiscreteVaeUpdates(context, source, rows, device);
}

/// <summary>The updates of the discrete VAE.</summary>
internal sealed class DiscreteVaeUpdates : IUpdates<float[][]>
{
    /// <summary>Held-out pictures that an evaluation measures, at most.</summary>
    private const int EvaluatedPictures = 256;

    /// <summary>Held-out pictures shown beside their reconstructions.</summary>
    private const int ShownPictures = 8;

    private readonly StageContext _context;
    private readonly PictureBatches _batches;
    private readonly Device _device;
    private readonly DiscreteVaeTraining _training;
    private readonly DiscreteVaeTrainer _trainer;
    private readonly float[] _heldOut;
    private readonly float[] _shown;
    private readonly int _size;

    public DiscreteVaeUpdates(StageContext context, PictureBatches batches, HeldRows rows, Device device)
    {
        (_context, _batches, _device, _training) = (context, batches, device, context.DiscreteVaeTraining);
        _size = context.Preset.DiscreteVae.ImageSize;
        _trainer = new(context.Preset.DiscreteVae, _training, context.Spec.Seed, device, rows.Ranges, context.Lease.Placement.Workers);
        _heldOut = batches.ReadHeldOut(EvaluatedPictures);
        _shown = batches.ReadHeldOut(ShownPictures);
    }

    public int Count => _training.Updates;

    public int EvaluateEvery => Math.Max(1, Count / 8);

    public IShardedTrainer Trainer => _trainer;

    public WorkerGrid Grid
    {
        private get => field ?? throw new InvalidOperationException("The workers are not placed.");
        set;
    }

    public float[][] Prepare(int step) => [.. Grid.OwnWorkers.Select(worker => _batches.Read(step, BatchRows.Of(_training.BatchSize, worker, Grid.Workers)))];

    public IReadOnlyList<WorkerShare> Gradients(int step, float[][] batch, IWorkerExchange exchange, bool measure)
    {
        var shares = new WorkerShare[batch.Length];
        foreach (var (i, worker) in Grid.OwnWorkers.Index())
        {
            var figures = _trainer.Gradients(step, worker, _training.BatchSize, Pixels.ToTensor(batch[i], _size, _device), measure);
            exchange.Add(i, _trainer.Network.Gradient);
            shares[i] = figures is { } measured ? new([measured.Loss, measured.Reconstruction, measured.Kl, measured.Perplexity], []) : new([], []);
        }

        return shares;
    }

    public TrainingEvent? Apply(int step, Verdict verdict, Pace? pace)
    {
        var figures = new DiscreteVaeFigures(verdict.Figures[0], verdict.Figures[1], verdict.Figures[2], verdict.Figures[3]);
        var report = _trainer.Apply(step, verdict.Norm, pace is null ? null : figures);
        return report is null ? null : new DiscreteVaeStepCompleted
        {
            Step = step + 1,
            Updates = Count,
            Loss = report.Loss,
            Reconstruction = report.Reconstruction,
            Kl = report.Kl,
            KlWeight = report.KlWeight,
            Tau = report.Tau,
            LearningRate = report.LearningRate,
            Perplexity = report.Perplexity,
            PicturesPerSecond = pace!.Value.StepsPerSecond * _training.BatchSize,
            Remaining = pace.Value.Remaining,
        };
    }

    public IEnumerable<TrainingEvent> Evaluate(int step)
    {
        using var scope = NewDisposeScope();
        var measured = _trainer.Evaluate(Pixels.ToTensor(_heldOut, _size, _device));
        var shown = Pixels.ToTensor(_shown, _size, _device);
        var reconstructed = _trainer.AveragedNetwork.Decode(_trainer.AveragedNetwork.Encode(shown));
        var sheet = ContactSheet.Draw(
            [.. Pixels.ToPictures(shown).Concat(Pixels.ToPictures(reconstructed)).Select(picture => (picture, (string?)null))],
            new ContactSheetLayout { Columns = (int)shown.shape[0], CellSide = _size, Gap = 2 });
        return
        [
            new DiscreteVaeEvaluated
            {
                Step = step, Psnr = measured.Psnr, Perplexity = measured.Perplexity, CodesInUse = measured.CodesInUse, CodebookSize = _context.Preset.DiscreteVae.CodebookSize,
                OfTrainingPictures = !_batches.HasHeldOut,
            },
            new SampleGridReady(TrainingStage.DiscreteVae, step, PngEncoder.Encode(sheet)),
        ];
    }

    public void Save() => ParameterFile.Save(_context.Folder.PathOf(ModelFolder.DiscreteVae), _trainer.AveragedParameters);

    public void Dispose() => _trainer.Dispose();
}
