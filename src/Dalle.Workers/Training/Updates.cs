using Dalle.Contracts.Training;
using Dalle.Model.Native;
using Dalle.Model.Safetensors;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>A network that is trained update by update: what <see cref="UpdateLoop{TBatch}"/> drives. All but <see cref="Prepare"/> runs on the device's thread.</summary>
/// <typeparam name="TBatch">The samples of one update, without tensors.</typeparam>
internal interface IUpdates<TBatch> : IDisposable
{
    /// <summary>Updates in all.</summary>
    int Count { get; }

    /// <summary>Updates from one evaluation to the next.</summary>
    int EvaluateEvery { get; }

    /// <summary>What a checkpoint holds.</summary>
    ICheckpointed State { get; }

    /// <summary>Reads the samples of an update: a pure function of (seed, step). Runs on any thread, ahead of the update.</summary>
    TBatch Prepare(int step);

    /// <summary>Performs an update.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="batch">Its samples.</param>
    /// <param name="pace">Speed so far, to be reported; null if no report is wanted. Asking for one changes nothing else.</param>
    TrainingEvent? Step(int step, TBatch batch, Pace? pace);

    /// <summary>Tries the averaged weights on held-out samples and draws some. Changes nothing.</summary>
    /// <param name="step">Updates done.</param>
    IEnumerable<TrainingEvent> Evaluate(int step);

    /// <summary>Writes the averaged weights for the stages after this one.</summary>
    void Save();
}

/// <summary>How fast a stage goes.</summary>
/// <param name="StepsPerSecond">Updates per second of late.</param>
/// <param name="Remaining">Time to the end of the stage at this speed.</param>
internal readonly record struct Pace(double StepsPerSecond, TimeSpan Remaining);

/// <summary>A stage that trains a network.</summary>
/// <typeparam name="TBatch">The samples of one update.</typeparam>
internal abstract class TrainingLoopStage<TBatch> : IStage
{
    public abstract TrainingStage Stage { get; }

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        using var dataset = context.OpenDataset();
        using var source = OpenSource(context, dataset);
        var updates = await context.OnDevice(device => Create(context, source, device), cancellationToken);
        try
        {
            return await new UpdateLoop<TBatch>(Stage, context, updates).Run(cancellationToken);
        }
        finally
        {
            await context.OnDevice(
                () =>
                {
                    updates.Dispose();
                    TorchRuntime.ReleaseFreedMemory();
                },
                CancellationToken.None);
        }
    }

    /// <summary>What batches are read from.</summary>
    protected abstract IBatchSource<TBatch> OpenSource(StageContext context, Data.Datasets.IDataset dataset);

    /// <summary>Allocates the trainer, on the device's thread.</summary>
    protected abstract IUpdates<TBatch> Create(StageContext context, IBatchSource<TBatch> source, Device device);
}

/// <summary>Reads batches and held-out samples.</summary>
/// <typeparam name="TBatch">The samples of one update.</typeparam>
internal interface IBatchSource<TBatch> : IDisposable
{
    /// <summary>The samples of an update: a pure function of (seed, step). Thread-safe.</summary>
    TBatch Read(int step);
}
