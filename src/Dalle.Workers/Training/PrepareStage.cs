using Dalle.Contracts.Training;

namespace Dalle.Workers.Training;

/// <summary>Opens the dataset, checks that the preset can train on it, decodes a first picture, and decides what the job computes in.</summary>
internal sealed class PrepareStage : IStage
{
    public TrainingStage Stage => TrainingStage.Prepare;

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        context.Preset.Validate();
        using var dataset = context.OpenDataset();
        if (dataset.TrainingCount < 1)
        {
            throw new InvalidDataException($"Dataset '{context.Spec.Dataset}' has no samples to train on.");
        }

        _ = dataset.ReadPicture(0);
        await context.DecidePrecision(cancellationToken);
        await context.Report(new StageAdvanced(Stage, dataset.TrainingCount, dataset.TrainingCount));
        return new DoneReport();
    }
}
