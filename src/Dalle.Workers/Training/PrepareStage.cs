using Dalle.Contracts.Training;
using TorchSharp;

namespace Dalle.Workers.Training;

/// <summary>Checks that the preset holds together and fits into memory, opens the dataset, decodes a first picture, and keeps what the job is held to.</summary>
internal sealed class PrepareStage : IStage
{
    public TrainingStage Stage => TrainingStage.Prepare;

    /// <summary>Bytes of memory that this process may take. Default: what the runtime sees, the limits of a container included.</summary>
    public Func<long> AvailableMemory { get; init; } = TrainingMemory.Available;

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        context.Preset.Validate();
        BatchRows.RequireForEachWorker(context);

        // A graphics card that is too small refuses by itself. What a silo gets at least is one ordinal.
        foreach (var stage in TrainingStages.Of(context.Spec).Where(stage => stage.Trains() && context.DeviceType == DeviceType.CPU))
        {
            TrainingMemory.Require(context.Preset, stage, context.Spec.ThreadsPerWorker, context.Spec.Shards, ordinals: 1, AvailableMemory());
        }

        using var dataset = context.OpenDataset();
        if (dataset.TrainingCount < 1)
        {
            throw new InvalidDataException($"Dataset '{context.Spec.Dataset}' has no samples to train on.");
        }

        _ = dataset.ReadPicture(0);
        context.KeepPlan(dataset);
        await context.Report(new StageAdvanced(Stage, dataset.TrainingCount, dataset.TrainingCount));
        return new DoneReport();
    }
}
