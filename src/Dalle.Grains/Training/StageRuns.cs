using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>The runs of one lease on all silos that host its workers: begins them, hands on what they report, and says how they have ended together.</summary>
/// <param name="grains">Reaches the workers.</param>
/// <param name="jobId">The job.</param>
/// <param name="lease">What they run.</param>
internal sealed class StageRuns(IGrainFactory grains, string jobId, StageLease lease)
{
    /// <summary>What they run.</summary>
    public StageLease Lease => lease;

    /// <summary>The silos that run it: all hosts where the stage trains, else the leader.</summary>
    private IReadOnlyList<WorkerHost> Hosts { get; } = lease.Stage.Trains() ? lease.Placement.Hosts : [lease.Placement.Leader];

    /// <summary>Runs the lease to its end.</summary>
    /// <param name="observe">Told of every report but the last of each host, in the order of that host's.</param>
    /// <param name="cancellationToken">Leaves the runs, which aborts them.</param>
    /// <returns>
    /// The leader's last report if all hosts are done; that they have stopped; else the first that failed or lost another, the others then being left. A host that does not answer any more
    /// counts as lost, unless it is the only one.
    /// </returns>
    /// <exception cref="Exception">The only host was lost.</exception>
    public async Task<WorkerReport> Run(Func<WorkerReport, Task> observe, CancellationToken cancellationToken)
    {
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var runs = Hosts.Select(host => Follow(host, observe, left.Token)).ToArray();
        try
        {
            var stopped = false;
            await foreach (var run in Task.WhenEach(runs))
            {
                switch (await run)
                {
                    case StoppedReport:
                        stopped = true;
                        break;
                    case FailedReport or PeerLostReport:
                        return await run;
                }
            }

            return stopped ? new StoppedReport(runs.Any(run => run.Result is StoppedReport { Leaving: true })) : runs[0].Result;
        }
        finally
        {
            // A host that was lost may keep its caller waiting for long.
            await left.CancelAsync();
            _ = Task.WhenAll(runs).ContinueWith(static all => all.Exception, TaskScheduler.Default);
        }
    }

    /// <summary>Asks all hosts to stop at the same step boundary.</summary>
    public Task Stop(StateKeeping keep, CancellationToken cancellationToken) =>
        Task.WhenAll(Hosts.Select(host => Worker(host).Stop(lease.Epoch, keep, cancellationToken)));

    private async Task<WorkerReport> Follow(WorkerHost host, Func<WorkerReport, Task> observe, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var report in Worker(host).Run(lease, cancellationToken).WithBatchSize(1).WithCancellation(cancellationToken))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (report is not (ProgressReport or CheckpointReport))
                {
                    return report;
                }

                await observe(report);
            }

            throw new InvalidOperationException("The workers ended without a result.");
        }
        catch (Exception lost) when (Hosts.Count > 1 && lost is not StaleLeaseException && !cancellationToken.IsCancellationRequested)
        {
            return new PeerLostReport(host.Silo, Gone: true, lost.Message);
        }
    }

    private IWorkerGrain Worker(WorkerHost host) => grains.GetGrain<IWorkerGrain>(new JobSilo(jobId, host.Silo).ToString());
}
