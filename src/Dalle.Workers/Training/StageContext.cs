using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Shards;

namespace Dalle.Workers.Training;

/// <summary>What a stage works with.</summary>
internal sealed class StageContext(StageLease lease, JobSilo key, JobFolder folder, JobShards shards, DeviceThread device, TrainingInstruments instruments, TimeProvider clock, StageRun run)
{
    private const string StandInsFile = "stand-ins.json";

    private readonly JobPlan _plan = Read<JobPlan>(folder, JobPlan.FileName) ?? new()
    {
        Preset = Preset.Find(lease.Spec.Preset),
        HalfPrecision = Precision.BFloat16.On(device.Device.type),
        DatasetFingerprint = null,
    };

    public StageLease Lease => lease;

    public TrainingSpec Spec => lease.Spec;

    public string JobId => key.Job;

    /// <summary>What the silo has of the job in memory.</summary>
    public JobShards Shards => shards;

    /// <summary>The workers that are here.</summary>
    public WorkerHost Own { get; } = lease.Placement.On(key.Silo);

    public JobFolder Folder => folder;

    public TimeProvider Clock => clock;

    public TrainingInstruments Instruments => instruments;

    /// <summary>Where to keep the state at the next step boundary, and to end; null while the stage is to go on.</summary>
    public StateKeeping? Stopping => run.Stopping;

    /// <summary>Whether that is because the silo leaves.</summary>
    public bool Leaving => run.Leaving;

    /// <summary>The kind of device that <see cref="OnDevice{T}"/> computes on.</summary>
    public TorchSharp.DeviceType DeviceType => device.Device.type;

    /// <summary>The job's preset: as it was when the job began, or as it is now where the job has kept no plan.</summary>
    public Preset Preset => _plan.Preset;

    /// <summary>How the discrete VAE is trained in this job.</summary>
    public DiscreteVaeTraining DiscreteVaeTraining => _plan.DiscreteVaeTraining(Spec);

    /// <summary>How the prior is trained in this job.</summary>
    public PriorTraining PriorTraining => _plan.PriorTraining(Spec);

    /// <summary>How the reranker is trained in this job; null where none is.</summary>
    public RerankerTraining? RerankerTraining => _plan.RerankerTraining(Spec);

    /// <summary>Keeps the plan for all stages, once for the whole job.</summary>
    /// <param name="dataset">The dataset that they are to find again.</param>
    public void KeepPlan(IDataset dataset)
    {
        if (!folder.Store.Exists(folder.File(JobPlan.FileName)))
        {
            folder.Store.WriteJson(folder.File(JobPlan.FileName), _plan with { DatasetFingerprint = dataset.Fingerprint });
        }
    }

    /// <summary>The job's samples, large photographs decoded no larger than augmentation needs them (12/8 of the image size). Damaged ones are replaced, which is reported. The caller disposes them.</summary>
    /// <exception cref="InvalidDataException">They are not those that the job began with.</exception>
    public ReadableDataset OpenDataset()
    {
        var dataset = Dataset.Open(Spec.Dataset, new ShardDatasetOptions { ShorterSide = Preset.DiscreteVae.ImageSize * 12 / 8 });
        if (_plan.DatasetFingerprint is { } expected && dataset.Fingerprint is var found && found != expected)
        {
            dataset.Dispose();
            throw new InvalidDataException(
                $"Dataset '{Spec.Dataset}' is not the one that the job began with: expected {expected}, got {found}. Put the old one back and resume the job, or start a new one.");
        }

        return new(dataset, ReadStandIns(), (sample, standIn, reason) => shards.Replaced.Enqueue(new SampleReplaced(lease.Stage, sample, standIn, reason)));
    }

    /// <summary>Keeps the stand-ins of damaged samples for the stages after this one: what is encoded of a picture must meet that picture's captions.</summary>
    public void KeepStandIns(ReadableDataset dataset) => folder.Store.WriteJson(folder.File(StandInsFile), dataset.StandIns);

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

    /// <summary>Hands a report to the job, after those of samples replaced meanwhile.</summary>
    public async ValueTask Report(WorkerReport report)
    {
        // Reports have one writer, and samples are read on any thread: those have waited.
        while (shards.Replaced.TryDequeue(out var replaced))
        {
            await run.Report(new ProgressReport(replaced));
        }

        await run.Report(report);
    }

    /// <summary>Hands an event to the job.</summary>
    public ValueTask Report(TrainingEvent progress) => Report(new ProgressReport(progress));

    private Dictionary<int, int> ReadStandIns() => Read<Dictionary<int, int>>(folder, StandInsFile) ?? [];

    /// <summary>What an earlier stage has kept in a file of the job; null where it has kept nothing.</summary>
    private static T? Read<T>(JobFolder folder, string file)
        where T : class =>
        folder.Store.Exists(folder.File(file)) ? folder.Store.ReadJson<T>(folder.File(file), "Start a new job.") : null;
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

    /// <summary>Opens ahead what a run with the same lease will need, so that the hosts of the job that are at work need not wait for this one.</summary>
    /// <exception cref="InvalidDataException">Something it needs is not as it must be; trying again would not help.</exception>
    Task Prepare(StageContext context, CancellationToken cancellationToken) => Task.CompletedTask;
}
