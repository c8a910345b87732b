using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;
using Dalle.Data.Datasets;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Workers.Shards;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>A stage that trains a network.</summary>
/// <typeparam name="TSource">What batches are read from.</typeparam>
/// <typeparam name="TBatch">The samples of one update.</typeparam>
internal abstract class TrainingLoopStage<TSource, TBatch> : IStage
    where TSource : IDisposable
{
    public abstract TrainingStage Stage { get; }

    public async Task<WorkerReport> Run(StageContext context, CancellationToken cancellationToken)
    {
        if (!HasWork(context))
        {
            return new DoneReport();
        }

        var (grid, rows) = Place(context);
        var open = await Open(context, rows, reuse: context.Lease.Snapshot is not null, cancellationToken);
        var goesOn = false;
        try
        {
            open.Updates.Grid = grid;
            var report = await Run(context, grid, open, cancellationToken);
            goesOn = report is StoppedReport;
            return report;
        }
        catch (Exception broken) when (broken is TransportException or OperationCanceledException)
        {
            goesOn = true;
            throw;
        }
        finally
        {
            // The job begins another epoch at once, or lets go of what is kept here.
            await (goesOn ? context.Shards.Keep(open) : open.DisposeAsync());
        }
    }

    public async Task Prepare(StageContext context, CancellationToken cancellationToken)
    {
        if (!HasWork(context))
        {
            return;
        }

        var (grid, rows) = Place(context);
        var open = await Open(context, rows, reuse: true, cancellationToken);
        try
        {
            open.Updates.Grid = grid;
            await Rehearse(context, open.Updates, cancellationToken);
        }
        catch
        {
            await open.DisposeAsync();
            throw;
        }

        await context.Shards.Keep(open);
    }

    /// <summary>Whether the job has such a network at all; without one the stage is done at once.</summary>
    protected virtual bool HasWork(StageContext context) => true;

    /// <summary>The network's declaration.</summary>
    protected abstract IReadOnlyList<ParameterSpec> Declare(StageContext context);

    /// <summary>How far its gradients are compressed between replicas.</summary>
    protected abstract CompressionSettings Compression(StageContext context);

    /// <summary>What batches are read from.</summary>
    protected abstract TSource OpenSource(StageContext context, IDataset dataset);

    /// <summary>Allocates the trainer, on the device's thread.</summary>
    protected abstract IUpdates<TBatch> Create(StageContext context, TSource source, HeldRows rows, Device device);

    // A process computes its first gradients several times as slowly as the next ones. Those here are forgotten.
    private static async Task Rehearse(StageContext context, IUpdates<TBatch> updates, CancellationToken cancellationToken)
    {
        var batch = await Task.Run(() => updates.Prepare(step: 0), cancellationToken);
        using var rehearsal = new Rehearsal();
        await context.OnDevice(_ => updates.Gradients(step: 0, batch, rehearsal, measure: true), cancellationToken);
    }

    private async Task<WorkerReport> Run(StageContext context, WorkerGrid grid, OpenTraining open, CancellationToken cancellationToken)
    {
        HostedWorkers<TBatch>? workers = null;
        try
        {
            workers = await context.OnDevice(_ => new HostedWorkers<TBatch>(context, open.Updates, grid, open.Rows, Compression(context), cancellationToken), cancellationToken);
            return await new UpdateLoop<TBatch>(context, open.Updates, workers).Run(cancellationToken);
        }
        finally
        {
            await context.OnDevice(() => workers?.Dispose(), CancellationToken.None);
        }
    }

    /// <summary>What an epoch before has left here, if it fits and may be used; else all is opened anew.</summary>
    private async Task<OpenTraining> Open(StageContext context, HeldRows rows, bool reuse, CancellationToken cancellationToken)
    {
        if (context.Shards.Take() is { } kept)
        {
            if (reuse && kept is OpenTraining open && open.Stage == Stage && (open.Rows.FirstOrdinal, open.Rows.Ordinals, open.Rows.Plan.Shards.Count) == (rows.FirstOrdinal, rows.Ordinals, rows.Plan.Shards.Count))
            {
                return open;
            }

            await kept.DisposeAsync();
        }

        BatchRows.RequireForEachWorker(context);
        if (context.DeviceType == TorchSharp.DeviceType.CPU)
        {
            TrainingMemory.Require(context.Preset, Stage, context.Spec.ThreadsPerWorker, rows.Plan.Shards.Count, rows.Ordinals, TrainingMemory.Available());
        }

        var dataset = context.OpenDataset();
        try
        {
            var source = OpenSource(context, dataset);
            try
            {
                return new(context, Stage, dataset, source, rows, await context.OnDevice(device => Create(context, source, rows, device), cancellationToken));
            }
            catch
            {
                source.Dispose();
                throw;
            }
        }
        catch
        {
            dataset.Dispose();
            throw;
        }
    }

    private (WorkerGrid Grid, HeldRows Rows) Place(StageContext context)
    {
        var placement = context.Lease.Placement;
        var hosts = placement.Hosts.Select(host => new GridHost(PeerOf(context, host), host.FirstReplica, host.Replicas, host.FirstOrdinal, host.Ordinals)).ToArray();
        var grid = new WorkerGrid(placement.Replicas, placement.Shards, hosts, placement.Hosts.Index().First(host => host.Item == context.Own).Index);
        return (grid, new(new ShardPlan(Declare(context), grid.Shards), grid.Own.FirstOrdinal, grid.Own.Ordinals));
    }

    private static PeerAddress PeerOf(StageContext context, WorkerHost host) =>
        host.Address is { } address ? DataPlane.PeerOf(address) : new(context.Own.Silo, new(System.Net.IPAddress.Loopback, 0));

    /// <summary>Samples and network of the stage on this silo. They may outlast an epoch: the next one goes on with them if the same rows are held.</summary>
    private sealed class OpenTraining(StageContext context, TrainingStage stage, IDisposable dataset, TSource source, HeldRows rows, IUpdates<TBatch> updates) : IAsyncDisposable
    {
        public TrainingStage Stage => stage;

        public HeldRows Rows => rows;

        public IUpdates<TBatch> Updates => updates;

        public async ValueTask DisposeAsync()
        {
            await context.OnDevice(
                () =>
                {
                    updates.Dispose();
                    TorchRuntime.ReleaseFreedMemory();
                },
                CancellationToken.None);
            source.Dispose();
            dataset.Dispose();
        }
    }
}
