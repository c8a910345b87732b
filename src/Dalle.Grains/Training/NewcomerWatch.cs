using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>Looks for silos that have come since a job's workers were placed, and lets them open what they need while the others still train.</summary>
/// <param name="grains">Reaches the workers.</param>
/// <param name="silos">The silos as the job sees them.</param>
/// <param name="clock">The time.</param>
/// <param name="jobId">The job.</param>
/// <param name="runs">Its present runs.</param>
/// <param name="known">The silos that were there when its workers were placed.</param>
/// <param name="leaveOut">Told of a silo that could not open what it needs, and why: the job is to do without it.</param>
internal sealed class NewcomerWatch(
    IGrainFactory grains, JobSilos silos, TimeProvider clock, string jobId, StageRuns runs, IReadOnlySet<string> known, Action<string, Exception> leaveOut)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    private readonly HashSet<string> _passedOver = new(known, StringComparer.Ordinal);

    /// <summary>Stops the runs, for the workers to be placed anew, once there is such a silo and it is ready.</summary>
    public async Task StopRunsWhenSilosCome(CancellationToken cancellationToken)
    {
        using var looks = new PeriodicTimer(Period, clock);
        while (await looks.WaitForNextTickAsync(cancellationToken))
        {
            if (silos.Active.Except(_passedOver).ToArray() is { Length: > 0 } newcomers && await Prepare(newcomers, cancellationToken))
            {
                await runs.Stop(StateKeeping.Memory, cancellationToken);
                return;
            }
        }
    }

    // False if there is none of them that workers could be placed on.
    private async Task<bool> Prepare(string[] newcomers, CancellationToken cancellationToken)
    {
        if (await silos.BeginNew(jobId, runs.Lease.Epoch, newcomers, cancellationToken) is not { Count: > 0 } come)
        {
            return false;
        }

        // Of those that are at work only their order counts.
        var present = runs.Lease.Placement.Hosts.Select(host => come[0] with { Silo = host.Silo });
        var next = WorkerPlacing.Place(runs.Lease.Spec, [.. present, .. come]);
        var lease = runs.Lease with { Placement = next, Snapshot = null };
        var ready = await Task.WhenAll(next.Hosts.Where(host => newcomers.Contains(host.Silo)).Select(host => Prepare(host.Silo, lease, cancellationToken)));
        return ready.Contains(true);
    }

    private async Task<bool> Prepare(string silo, StageLease lease, CancellationToken cancellationToken)
    {
        try
        {
            await grains.GetGrain<IWorkerGrain>(new JobSilo(jobId, silo).ToString()).Prepare(lease, cancellationToken);
            return true;
        }
        catch (Exception error) when (error is TimeoutException or OrleansException && !cancellationToken.IsCancellationRequested)
        {
            // It does not answer, which says nothing of what it can: the next look asks again.
            return false;
        }
        catch (Exception unfit) when (!cancellationToken.IsCancellationRequested)
        {
            // A run there would fail the same way, and the job with it.
            _passedOver.Add(silo);
            leaveOut(silo, unfit);
            return false;
        }
    }
}
