using System.Runtime.CompilerServices;
using Dalle.Contracts;
using Dalle.Contracts.Training;
using Dalle.Data.Sources;
using Dalle.Model.Safetensors;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dalle.Workers.Training;

/// <inheritdoc cref="IWorkerGrain"/>
/// <remarks>Never computes on its own turns: a stage runs beside the grain, its tensor work on the device's thread.</remarks>
public sealed partial class WorkerGrain(IServiceProvider services, ArtifactStore store, DeviceThread device, TimeProvider clock, ILogger<WorkerGrain> logger)
    : Grain, IWorkerGrain
{
    private StageRun? _run;
    private long _epoch;
    private long _stopped;

    private WorkerId Id => WorkerId.Parse(this.GetPrimaryKeyString());

    private JobFolder Folder => new(store, Id.Job);

    public async IAsyncEnumerable<WorkerReport> Run(StageLease lease, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        if (lease.Epoch < _epoch)
        {
            throw new StaleLeaseException(lease.Epoch, _epoch);
        }

        _epoch = lease.Epoch;
        await (_run?.Abort() ?? Task.CompletedTask);
        using var run = new StageRun(new(Id.ToString(), lease.Stage));
        _run = run;
        if (lease.Epoch <= _stopped)
        {
            run.Stop();
        }

        var drain = services.GetRequiredService<WorkerDrain>();
        drain.Enter(run);
        try
        {
            LogBegins(logger, Id, lease.Stage, lease.Epoch);
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
            _run = _run == run ? null : _run;
        }
    }

    public Task Stop(long epoch, CancellationToken cancellationToken = default)
    {
        _stopped = Math.Max(_stopped, epoch);
        if (_epoch <= _stopped)
        {
            _run?.Stop();
        }

        return Task.CompletedTask;
    }

    public async Task Discard(CancellationToken cancellationToken = default)
    {
        await (_run?.Abort() ?? Task.CompletedTask);
        Folder.Delete();
    }

    private async Task<WorkerReport> RunStage(StageLease lease, StageRun run, CancellationToken cancellationToken)
    {
        try
        {
            var stage = services.GetServices<IStage>().First(stage => stage.Stage == lease.Stage);
            return await stage.Run(new StageContext(lease, Id.Job, Folder, device, clock, run), cancellationToken);
        }
        catch (Exception error) when (error is InvalidRequestException or InvalidDataException or SourceException or ArgumentException or SafetensorsException)
        {
            LogFailed(logger, error, Id, lease.Stage);
            return new FailedReport(error.Message);
        }
    }
}
