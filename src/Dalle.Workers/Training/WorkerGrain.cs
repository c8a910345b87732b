using System.Runtime.CompilerServices;
using Dalle.Collectives.Transport;
using Dalle.Contracts;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Dalle.Data.Sources;
using Dalle.Model.Safetensors;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Shards;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dalle.Workers.Training;

/// <inheritdoc cref="IWorkerGrain"/>
/// <remarks>Never computes on its own turns: a stage runs beside the grain, its tensor work on the device's thread.</remarks>
[SiloPlacement]
public sealed partial class WorkerGrain(IServiceProvider services, ArtifactStore store, DeviceThread device, TrainingInstruments instruments, TimeProvider clock, ILogger<WorkerGrain> logger)
    : Grain, IWorkerGrain
{
    private StageRun? _run;
    private long _epoch;
    private long _stopped;
    private StateKeeping _keep;

    private JobSilo Key => JobSilo.Parse(this.GetPrimaryKeyString());

    private JobFolder Folder => new(store, Key.Job);

    private JobShards Shards => services.GetRequiredService<JobShardDirectory>().Of(Key.Job);

    public async IAsyncEnumerable<WorkerReport> Run(StageLease lease, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (lease.Epoch < _epoch)
        {
            throw new StaleLeaseException(lease.Epoch, _epoch);
        }

        _epoch = lease.Epoch;
        var own = lease.Placement.On(Key.Silo);
        using var run = new StageRun(new(Key.Job, lease.Stage, lease.Epoch, own.ToString()));
        await Shards.Enter(run, lease.Epoch);
        _run = run;
        if (lease.Epoch <= _stopped)
        {
            run.Stop(_keep);
        }

        var drain = services.GetRequiredService<WorkerDrain>();
        drain.Enter(run);
        try
        {
            LogBegins(logger, Key.Job, lease.Stage, lease.Epoch, own);
            run.Begin((begun, abort) => RunStage(lease, begun, abort));
            await foreach (var report in run.Reports.ReadAllAsync(cancellationToken))
            {
                yield return report;

                // The job asks for the next report only when it has dealt with this one.
                if (report is CheckpointReport { Checkpoint: var named })
                {
                    Folder.Prune(named, lease.Spec.KeepCheckpoints);
                }
            }
        }
        finally
        {
            await run.Abort();
            drain.Leave(run);
            Shards.Leave(run);
            _run = _run == run ? null : _run;
        }
    }

    public Task Prepare(StageLease lease, CancellationToken cancellationToken = default) => Task.Run(
        async () =>
        {
            using var run = new StageRun(new(Key.Job, lease.Stage, lease.Epoch, lease.Placement.On(Key.Silo).ToString()));
            await Stage(lease).Prepare(Context(lease, run), cancellationToken);
        },
        cancellationToken);

    public Task Stop(long epoch, StateKeeping keep = StateKeeping.Checkpoint, CancellationToken cancellationToken = default)
    {
        (_stopped, _keep) = (Math.Max(_stopped, epoch), keep);
        if (_epoch <= _stopped)
        {
            _run?.Stop(keep);
        }

        return Task.CompletedTask;
    }

    public async Task Discard(CancellationToken cancellationToken = default)
    {
        await Shards.Release();
        Folder.Delete();
    }

    private IStage Stage(StageLease lease) => services.GetServices<IStage>().First(stage => stage.Stage == lease.Stage);

    private StageContext Context(StageLease lease, StageRun run) => new(lease, Key, Folder, Shards, device, instruments, clock, run);

    private async Task<WorkerReport> RunStage(StageLease lease, StageRun run, CancellationToken cancellationToken)
    {
        try
        {
            instruments.OnEpoch(Key.Job, lease.Stage);
            return await Stage(lease).Run(Context(lease, run), cancellationToken);
        }
        catch (PeerLostException lost)
        {
            instruments.OnPeerLost(Key.Job, lease.Stage);
            LogPeerLost(logger, Key.Job, lease.Stage, lease.Epoch, lost.Message);
            return new PeerLostReport(lost.Peer, lost.Loss is not PeerLoss.Left, lost.Message);
        }
        catch (Exception error) when (error is InvalidRequestException or InvalidDataException or SourceException or ArgumentException or SafetensorsException)
        {
            LogFailed(logger, error, Key.Job, lease.Stage);
            return new FailedReport(error.Message);
        }
    }
}
