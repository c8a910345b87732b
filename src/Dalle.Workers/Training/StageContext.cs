using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Workers.Devices;

namespace Dalle.Workers.Training;

/// <summary>What a stage works with.</summary>
internal sealed class StageContext(StageLease lease, string jobId, JobFolder folder, DeviceThread device, TimeProvider clock, StageRun run)
{
    public StageLease Lease => lease;

    public TrainingSpec Spec => lease.Spec;

    public string JobId => jobId;

    public JobFolder Folder => folder;

    public TimeProvider Clock => clock;

    /// <summary>Whether to save at the next step boundary and to end.</summary>
    public bool Stopping => run.Stopping;

    public Preset Preset { get; } = Preset.Find(lease.Spec.Preset);

    /// <summary>How the discrete VAE is trained in this job: the preset's way, with the job's number of updates.</summary>
    public DiscreteVaeTraining DiscreteVaeTraining => Spec.DiscreteVaeUpdates is { } updates ? Preset.DiscreteVaeTraining.WithUpdates(updates) : Preset.DiscreteVaeTraining;

    /// <summary>How the prior is trained in this job.</summary>
    public PriorTraining PriorTraining => Spec.PriorUpdates is { } updates ? Preset.PriorTraining with { Updates = updates } : Preset.PriorTraining;

    /// <summary>The job's samples, large photographs decoded no larger than augmentation needs them (12/8 of the image size). The caller disposes them.</summary>
    public IDataset OpenDataset() => Dataset.Open(Spec.Dataset, new ShardDatasetOptions { ShorterSide = Preset.DiscreteVae.ImageSize * 12 / 8 });

    /// <summary>Runs a piece of work on the device, with the job's number of libtorch threads.</summary>
    public Task<T> OnDevice<T>(Func<TorchSharp.torch.Device, T> work, CancellationToken cancellationToken) => device.Run(Spec.ThreadsPerWorker, work, cancellationToken);

    /// <summary>Work without a result; see <see cref="OnDevice{T}"/>.</summary>
    public Task OnDevice(Action work, CancellationToken cancellationToken) => OnDevice(
        _ =>
        {
            work();
            return true;
        },
        cancellationToken);

    /// <summary>Hands a report to the job.</summary>
    public ValueTask Report(WorkerReport report) => run.Report(report);

    /// <summary>Hands an event to the job.</summary>
    public ValueTask Report(TrainingEvent progress) => run.Report(new ProgressReport(progress));
}

/// <summary>One stage of a job.</summary>
internal interface IStage
{
    /// <summary>Which.</summary>
    TrainingStage Stage { get; }

    /// <summary>Runs it to its end, or to a boundary once it is asked to stop.</summary>
    /// <returns>The last report: done or stopped.</returns>
    /// <exception cref="InvalidDataException">Something it needs is not as it must be; trying again would not help.</exception>
    Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken);
}
