using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Model.Training;

namespace Dalle.Workers.Training;

/// <summary>A network that is trained update by update: what <see cref="UpdateLoop{TBatch}"/> drives. All but <see cref="Prepare"/> runs on the device's thread.</summary>
/// <typeparam name="TBatch">The samples of one update, without tensors.</typeparam>
internal interface IUpdates<TBatch> : IDisposable
{
    /// <summary>Updates in all.</summary>
    int Count { get; }

    /// <summary>Updates from one evaluation to the next.</summary>
    int EvaluateEvery { get; }

    /// <summary>The network, or the rows of it that are here.</summary>
    IShardedTrainer Trainer { get; }

    /// <summary>The workers, and which of them are here: set before a run.</summary>
    WorkerGrid Grid { set; }

    /// <summary>Reads the samples of an update, as far as the workers that are here need them: a pure function of (seed, step). Runs on any thread, ahead of the update.</summary>
    TBatch Prepare(int step);

    /// <summary>Computes the gradients of the batch's rows of each worker that is here.</summary>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="batch">Its samples.</param>
    /// <param name="exchange">Takes the gradients.</param>
    /// <param name="measure">Whether figures are wanted that only reports need. Asking for them changes nothing else.</param>
    /// <returns>By worker.</returns>
    IReadOnlyList<WorkerShare> Gradients(int step, TBatch batch, IWorkerExchange exchange, bool measure);

    /// <summary>Applies the mean gradient, or counts the update as skipped.</summary>
    /// <param name="step">The update's number, counted from 0.</param>
    /// <param name="verdict">What all workers' ballots come to.</param>
    /// <param name="pace">Speed so far, to be reported; null if no report is wanted. Asking for one changes nothing else.</param>
    TrainingEvent? Apply(int step, Verdict verdict, Pace? pace);

    /// <summary>Tries the averaged weights on held-out samples and draws some. Changes nothing.</summary>
    /// <param name="step">Updates done.</param>
    IEnumerable<TrainingEvent> Evaluate(int step);

    /// <summary>Writes the averaged weights for the stages after this one.</summary>
    void Save();
}

/// <summary>What a worker has to say of its gradients.</summary>
/// <param name="Figures">What it adds to each figure of the update.</param>
/// <param name="NotFinite">Resblocks whose gradients were not finite, where the precision has scales.</param>
internal readonly record struct WorkerShare(IReadOnlyList<double> Figures, IReadOnlyList<int> NotFinite);

/// <summary>How fast a stage goes.</summary>
/// <param name="StepsPerSecond">Updates per second of late.</param>
/// <param name="Remaining">Time to the end of the stage at this speed.</param>
internal readonly record struct Pace(double StepsPerSecond, TimeSpan Remaining);

/// <summary>A run of samples of a batch: a worker's.</summary>
/// <param name="First">Counted from 0.</param>
/// <param name="Count">How many.</param>
internal readonly record struct BatchRows(int First, int Count)
{
    /// <summary>The rows of a worker: as many for each as can be.</summary>
    /// <param name="batch">Samples of the whole batch.</param>
    /// <param name="worker">The worker's number in the job.</param>
    /// <param name="workers">Workers of the job.</param>
    public static BatchRows Of(int batch, int worker, int workers)
    {
        var (first, end) = ((int)((long)batch * worker / workers), (int)((long)batch * (worker + 1) / workers));
        return new(first, end - first);
    }

    /// <remarks>Of the reranker's batches a worker needs two rows: it learns by telling them apart.</remarks>
    /// <exception cref="InvalidDataException">The job has more workers than a batch has rows.</exception>
    public static void RequireForEachWorker(StageContext context)
    {
        var workers = context.Lease.Placement.Workers;
        var batch = new[] { context.DiscreteVaeTraining.BatchSize, context.PriorTraining.BatchSize, (context.RerankerTraining?.BatchSize ?? int.MaxValue) / 2 }.Min();
        if (workers > batch)
        {
            throw new InvalidDataException(
                $"Preset '{context.Preset.Name}' has batches of {batch}, which {context.Spec.Replicas} x {context.Spec.Shards} workers cannot share. Ask for at most {batch} workers, replicas times shards.");
        }
    }
}
