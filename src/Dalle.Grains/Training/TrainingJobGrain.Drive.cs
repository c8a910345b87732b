using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Orleans.Storage;

namespace Dalle.Grains.Training;

/// <content>The drive: what a running job does beside the grain's requests, from one membership epoch to the next.</content>
internal sealed partial class TrainingJobGrain
{
    /// <summary>Tries of a stage from the same state, before the job is declared failed.</summary>
    private const int MaxAttempts = 5;

    /// <summary>
    /// Tries from the same state with silos that were reported lost but answer: the network between workers may fail while all else is in order. After that the stage goes on without them.
    /// </summary>
    private const int TriesWithTheLost = 1;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    // Silos that have joined and could not open what they need. They may when the job is begun again.
    private readonly HashSet<string> _unfit = new(StringComparer.Ordinal);

    private Task _drive = Task.CompletedTask;
    private CancellationTokenSource _driving = new();
    private WorkerPlacement? _placement;
    private StageRuns? _runs;
    private bool _pausing;

    private void BeginDrive()
    {
        _pausing = false;
        _unfit.Clear();
        _driving.Dispose();
        _driving = new();
        _drive = Drive(_driving.Token);
    }

    // Runs beside the grain's requests, on its scheduler, until the job rests or this activation ends. It never fails. A silo that leaves begins nothing new:
    // the job goes on elsewhere, or when the silo starts again.
    private async Task Drive(CancellationToken cancellationToken)
    {
        var attempts = new StageAttempts(MaxAttempts);
        var cause = Cause.Begun;
        while (job.State.Phase == TrainingPhase.Running && !cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (attempts.Failure is { } failure)
                {
                    await RestAs(job.State.Fail(failure), failure);
                }
                else if (_pausing)
                {
                    await RestAs(job.State.Pause(), "paused on request");
                }
                else if (host.ApplicationStopping.IsCancellationRequested)
                {
                    return;
                }
                else
                {
                    cause = await RunEpoch(cause, attempts, cancellationToken);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
            }
            catch (InconsistentStateException stale)
            {
                // Another activation has written since, or the store has an answer that never came. Who is asked next reads what is stored; the reminder asks.
                LogStale(logger, stale, JobId);
                DeactivateOnIdle();
                return;
            }
            catch (OrleansMessageRejectionException unreached) when (unreached is not SiloUnavailableException)
            {
                // The call was for a silo that is gone and that the cluster still counts on. It was never made, so nothing has been tried.
                LogUnreached(logger, unreached, JobId, job.State.Stage);
                await Delay(cancellationToken);
            }
            catch (Exception lost)
            {
                attempts.Failed(job.State.Stage, job.State.Checkpoint?.Step ?? 0, lost.Message);
                LogWorkerLost(logger, lost, JobId, job.State.Stage, attempts.Count);
                cause = new(lost.Message, clock.GetTimestamp(), cause.Lost);
                await Delay(cancellationToken);
            }
            finally
            {
                _runs = null;
            }
        }

        if (job.State.Rests && _placement is { } placement)
        {
            _placement = null;
            await silos.Release(JobId, placement.Hosts.Select(worker => worker.Silo), CancellationToken.None);
        }
    }

    /// <summary>Places the workers, leases the present stage to their silos and follows them to the end of the lease.</summary>
    /// <returns>Why the next epoch begins.</returns>
    private async Task<Cause> RunEpoch(Cause cause, StageAttempts attempts, CancellationToken cancellationToken)
    {
        await Save(job.State.NextLease());
        var known = silos.Active;
        string[] before = [.. _placement?.Hosts.Select(worker => worker.Silo) ?? []];
        var answered = await silos.Begin(JobId, job.State.Epoch, cause.Lost, without: attempts.Count > TriesWithTheLost, before, cancellationToken);
        if (answered.Count == 0)
        {
            await Delay(cancellationToken);
            return cause;
        }

        IReadOnlyList<SiloHoldings> there = answered.Where(silo => !_unfit.Contains(silo.Silo)).ToArray() is { Length: > 0 } fit ? fit : answered;
        var placement = WorkerPlacing.Place(job.State.Spec!, there);
        var snapshot = WorkerPlacing.Newest(placement, job.State.Stage, there, job.State.Checkpoint?.Step ?? 0, job.State.Spec!.Recovery);
        job.State = job.State.Committed(WorkerPlacing.LastStep(job.State.Stage, there));
        attempts.Begin(job.State.Stage, snapshot?.Step ?? job.State.Checkpoint?.Step ?? 0);
        (_placement, _runs) = (placement, new(GrainFactory, JobId, job.State.Lease(placement, snapshot)));
        if (_pausing)
        {
            return cause;
        }

        TellPlacement(cause, snapshot);
        var last = await RunStage(_runs, placement.Hosts.Count < placement.Workers ? new(GrainFactory, silos, clock, JobId, _runs, known, LeaveOut) : null, cancellationToken);
        switch (last)
        {
            case PeerLostReport lost:
                attempts.Failed(job.State.Stage, job.State.Checkpoint?.Step ?? 0, lost.Reason);
                LogPeerLost(logger, JobId, lost.Silo, job.State.Epoch, lost.Reason);
                if (attempts.Count > 1)
                {
                    await Delay(cancellationToken);
                }

                return new(lost.Reason, clock.GetTimestamp(), lost.Gone ? new HashSet<string>([lost.Silo], StringComparer.Ordinal) : []);
            case StoppedReport { Leaving: var leaving }:
                return leaving ? Cause.Left(clock) : Cause.Joined(clock);
            default:
                return Cause.NextStage(clock);
        }
    }

    /// <summary>Follows the runs of a lease.</summary>
    /// <param name="runs">The runs.</param>
    /// <param name="newcomers">Looks for more silos; null where they are of no use.</param>
    /// <param name="cancellationToken">Leaves the runs.</param>
    /// <returns>How they ended.</returns>
    private async Task<WorkerReport> RunStage(StageRuns runs, NewcomerWatch? newcomers, CancellationToken cancellationToken)
    {
        var told = job.State.Step;
        var since = clock.GetTimestamp();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watch = newcomers?.StopRunsWhenSilosCome(ended.Token) ?? Task.CompletedTask;
        try
        {
            var last = await runs.Run(Observe, cancellationToken);
            switch (last)
            {
                case DoneReport done:
                    await Complete(done, Lap(), cancellationToken);
                    break;
                case FailedReport failed:
                    await RestAs(job.State.Fail(failed.Reason).Spend(Lap()), failed.Reason);
                    break;
                case StoppedReport or PeerLostReport:
                    await Save(job.State.Spend(Lap()));
                    break;
                default:
                    throw new InvalidOperationException($"A worker sent a {last.GetType().Name}, which this job does not know.");
            }

            return last;
        }
        finally
        {
            await ended.CancelAsync();
            await watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        async Task Observe(WorkerReport report)
        {
            switch (report)
            {
                case ProgressReport { Event: CheckpointSkipped skipped }:
                    LogCheckpointSkipped(logger, JobId, skipped.Checkpoint.Stage, skipped.Checkpoint.Step, skipped.Reason);
                    _events.Add(skipped);
                    break;
                case ProgressReport { Event: var progress } when !IsTold(progress, told):
                    job.State = job.State.Observe(progress);
                    _events.Add(progress);
                    break;
                case CheckpointReport { Checkpoint: var checkpoint }:
                    await Save(job.State.Name(checkpoint).Spend(Lap()));
                    _events.Add(new CheckpointWritten(checkpoint));
                    break;
            }
        }

        TimeSpan Lap()
        {
            var lap = clock.GetElapsedTime(since);
            since = clock.GetTimestamp();
            return lap;
        }
    }

    private void LeaveOut(string silo, Exception reason)
    {
        _unfit.Add(silo);
        LogUnfit(logger, reason, JobId, silo);
    }

    /// <summary>Whether an event is of updates that watchers have been told of: some are computed again, to the same bytes, after a silo was lost.</summary>
    private static bool IsTold(TrainingEvent progress, int told) => progress switch
    {
        DiscreteVaeStepCompleted e => e.Step <= told,
        PriorStepCompleted e => e.Step <= told,
        RerankerStepCompleted e => e.Step <= told,
        DiscreteVaeEvaluated e => e.Step < told,
        RerankerEvaluated e => e.Step < told,
        SampleGridReady e => e.Step < told,
        _ => false,
    };

    private void TellPlacement(Cause cause, RestorePoint? snapshot)
    {
        if (_placement!.Workers == 1)
        {
            return;
        }

        var hosts = _placement.Hosts.Select(worker => SiloAddress.FromParsableString(worker.Silo).Endpoint.ToString()).ToArray();
        var (names, noticed) = (string.Join(", ", hosts), cause.Noticed ?? clock.GetTimestamp());
        var placed = new WorkersPlaced(job.State.Epoch, hosts, snapshot?.Step ?? job.State.Checkpoint?.Step ?? 0, cause.Reason, clock.GetElapsedTime(noticed).TotalSeconds);
        LogPlaced(logger, JobId, job.State.Stage, placed.Epoch, names, placed.FromStep, placed.Cause, placed.Seconds);
        _events.Add(placed);
    }

    private async Task Complete(DoneReport done, TimeSpan time, CancellationToken cancellationToken)
    {
        if (done.Model is { } model)
        {
            await GrainFactory.GetGrain<IModelCatalogGrain>(0).Publish(model, cancellationToken);
        }

        var ended = job.State.Spend(time);
        await Save(ended.CompleteStage());
        _events.Add(new StageCompleted(ended.Stage, ended.SecondsSpent));
        if (done.Model is not null)
        {
            _events.Add(new ModelPublished(done.Model.Name));
        }

        if (job.State.Phase == TrainingPhase.Completed)
        {
            await Rest(null);
        }
    }

    private async Task Delay(CancellationToken cancellationToken) => await Task.Delay(RetryDelay, clock, cancellationToken)
        .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
}
