using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Workers.Devices;

namespace Dalle.Workers.Training;

/// <summary>What a stage works with.</summary>
internal sealed class StageContext(StageLease lease, string jobId, JobFolder folder, DeviceThread device, TimeProvider clock, StageRun run)
{
    private const string StandInsFile = "stand-ins.json";
    private const string PrecisionFile = "precision.json";

    private static readonly JsonSerializerOptions Readable = new() { Converters = { new JsonStringEnumConverter() } };

    // Reports have one writer, and samples are read on any thread: these wait for the stage's next report.
    private readonly ConcurrentQueue<SampleReplaced> _replaced = new();

    public StageLease Lease => lease;

    public TrainingSpec Spec => lease.Spec;

    public string JobId => jobId;

    public JobFolder Folder => folder;

    public TimeProvider Clock => clock;

    /// <summary>Whether to save at the next step boundary and to end.</summary>
    public bool Stopping => run.Stopping;

    public Preset Preset { get; } = Preset.Find(lease.Spec.Preset);

    /// <summary>How the discrete VAE is trained in this job: the preset's way, with the job's number of updates and precision.</summary>
    public DiscreteVaeTraining DiscreteVaeTraining =>
        (Spec.DiscreteVaeUpdates is { } updates ? Preset.DiscreteVaeTraining.WithUpdates(updates) : Preset.DiscreteVaeTraining) with
        {
            Precision = OfJob(Preset.DiscreteVaeTraining.Precision),
        };

    /// <summary>How the prior is trained in this job.</summary>
    public PriorTraining PriorTraining => Preset.PriorTraining with
    {
        Updates = Spec.PriorUpdates ?? Preset.PriorTraining.Updates,
        Precision = OfJob(Preset.PriorTraining.Precision),
    };

    /// <summary>
    /// Decides, once for the whole job, whether its 16-bit presets compute in 16 bit: only if the device of its first stage does so by itself. Kept with the job,
    /// so that its numbers stay the same wherever it goes on.
    /// </summary>
    public async Task DecidePrecision(CancellationToken cancellationToken)
    {
        if (!folder.Store.Exists(folder.File(PrecisionFile)))
        {
            var precision = await OnDevice(place => Precision.BFloat16.On(place.type), cancellationToken);
            folder.Store.Write(folder.File(PrecisionFile), stream => JsonSerializer.Serialize(stream, precision, Readable));
        }
    }

    /// <summary>The job's samples, large photographs decoded no larger than augmentation needs them (12/8 of the image size). Damaged ones are replaced, which is reported. The caller disposes them.</summary>
    public ReadableDataset OpenDataset()
    {
        var dataset = Dataset.Open(Spec.Dataset, new ShardDatasetOptions { ShorterSide = Preset.DiscreteVae.ImageSize * 12 / 8 });
        return new(dataset, ReadStandIns(), (sample, standIn, reason) => _replaced.Enqueue(new SampleReplaced(lease.Stage, sample, standIn, reason)));
    }

    /// <summary>Keeps the stand-ins of damaged samples for the stages after this one: what is encoded of a picture must meet that picture's captions.</summary>
    public void KeepStandIns(ReadableDataset dataset) => folder.Store.Write(folder.File(StandInsFile), stream => JsonSerializer.Serialize(stream, dataset.StandIns));

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
        while (_replaced.TryDequeue(out var replaced))
        {
            await run.Report(new ProgressReport(replaced));
        }

        await run.Report(report);
    }

    /// <summary>Hands an event to the job.</summary>
    public ValueTask Report(TrainingEvent progress) => Report(new ProgressReport(progress));

    private Precision OfJob(Precision ofPreset) => ofPreset == Precision.Float32 ? ofPreset : Read(PrecisionFile, ofPreset);

    private Dictionary<int, int> ReadStandIns() => Read<Dictionary<int, int>>(StandInsFile, []);

    /// <summary>What an earlier stage has kept in a file of the job; the given value where it has kept nothing.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    private T Read<T>(string file, T otherwise)
    {
        if (!folder.Store.Exists(folder.File(file)))
        {
            return otherwise;
        }

        using var stream = folder.Store.Open(folder.File(file));
        try
        {
            return JsonSerializer.Deserialize<T>(stream, Readable) ?? otherwise;
        }
        catch (JsonException damage)
        {
            throw new InvalidDataException($"'{folder.File(file)}' is damaged: {damage.Message} Start a new job.", damage);
        }
    }
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
