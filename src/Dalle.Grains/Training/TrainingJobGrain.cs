using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Events;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.Storage;

namespace Dalle.Grains.Training;

/// <summary>Drives a training job through its stages. The rules are <see cref="TrainingJobState"/>'s; this grain places the workers, leases stages to their silos, persists and tells.</summary>
/// <remarks>
/// Reentrant: commands wait for the drive to come to rest, and status and watches must get in meanwhile. Commands take turns; only the drive and the command
/// whose turn it is change the state, and every write goes through <see cref="Save"/>, one at a time.
/// </remarks>
[Reentrant]
internal sealed partial class TrainingJobGrain(
    [PersistentState("job")] IPersistentState<TrainingJobState> job, JobSilos silos, ILocalSiloDetails here, TimeProvider clock, IHostApplicationLifetime host,
    ILogger<TrainingJobGrain> logger)
    : Grain, ITrainingJobGrain, IRemindable, IDisposable
{
    private const string KeepAlive = "keep-alive";

    /// <summary>Tries of a stage from the same state, before the job is declared failed.</summary>
    private const int MaxAttempts = 5;

    /// <summary>
    /// Tries from the same state with silos that were reported lost but answer: the network between workers may fail while all else is in order. After that the stage goes on without them.
    /// </summary>
    private const int TriesWithTheLost = 1;

    private static readonly TimeSpan ReminderPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>Events kept for watchers that come late.</summary>
    private const int KeptEvents = 512;

    // Numbers are at least the time in microseconds, and events are rarer: the numbers go on growing in another activation, with nothing stored.
    private readonly EventLog<TrainingEvent> _events = new(
        (entry, last) => Number(entry, last, clock.GetUtcNow()),
        entry => entry.Sequence,
        KeptEvents);

    // Silos that have joined and could not open what they need. They may when the job is begun again.
    private readonly HashSet<string> _unfit = new(StringComparer.Ordinal);

    private readonly SemaphoreSlim _turns = new(1);
    private readonly SemaphoreSlim _writing = new(1);
    private Task _drive = Task.CompletedTask;
    private CancellationTokenSource _driving = new();
    private WorkerPlacement? _placement;
    private StageRuns? _runs;
    private bool _pausing;

    /// <summary>Whether nothing more happens, and watchers were told so.</summary>
    private bool Told => job.State.Rests && (_events.Newest is null || (_events.Newest is PhaseChanged { Phase: var phase } && phase == job.State.Phase));

    private string JobId => this.GetPrimaryKeyString();

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        if (job.State.Phase == TrainingPhase.Running)
        {
            BeginDrive();
        }

        return Task.CompletedTask;
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        await _driving.CancelAsync();
        await _drive.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    /// <summary>The reminder's only work is to activate a running job; <see cref="OnActivateAsync"/> does the rest.</summary>
    public Task ReceiveReminder(string reminderName, TickStatus status) => job.State.Rests ? Forget() : Task.CompletedTask;

    public Task Start(TrainingSpec spec, CancellationToken cancellationToken = default) => InTurn(
        async () =>
        {
            Names.Check(JobId, "id");
            spec.Validate();
            var next = job.State.Start(spec, clock.GetUtcNow());
            if (next == job.State)
            {
                return;
            }

            await GrainFactory.GetGrain<IClusterGrain>(0).Register(JobId, cancellationToken);
            await Save(next);
            LogStarted(logger, JobId, spec.Preset, spec.Dataset);
            await Run();
        },
        cancellationToken);

    public async Task Pause(CancellationToken cancellationToken = default)
    {
        await InTurn(
            async () =>
            {
                RequireStarted();
                if (job.State.Ended)
                {
                    throw new InvalidRequestException($"Job '{JobId}' is {job.State.Phase.ToString().ToLowerInvariant()} and cannot be paused.");
                }

                _pausing = true;
                await (_runs?.Stop(StateKeeping.Checkpoint, cancellationToken) ?? Task.CompletedTask);
            },
            cancellationToken);
        await _drive.WaitAsync(cancellationToken);
    }

    public Task Resume(WorkerCounts? workers = null, CancellationToken cancellationToken = default) => InTurn(
        async () =>
        {
            RequireStarted();
            if (job.State.Resume(workers) is var next && next != job.State)
            {
                // The phase is told, and may be answered, before the drive has come to its end.
                await _drive.WaitAsync(cancellationToken);
                if (next.Spec != job.State.Spec)
                {
                    // What silos have in memory is cut for other workers.
                    await silos.Release(JobId, silos.Active, cancellationToken);
                }

                await Save(next);
                await Run();
            }
        },
        cancellationToken);

    public Task Cancel(CancellationToken cancellationToken = default) => InTurn(
        async () =>
        {
            RequireStarted();
            if (job.State.Cancel() is var next && next != job.State)
            {
                await Save(next);
                await _driving.CancelAsync();
                await _drive.WaitAsync(cancellationToken);
                await Rest(null);
            }

            // Also when repeated: the call before may have failed here.
            await silos.Release(JobId, silos.Active, cancellationToken);
            await GrainFactory.GetGrain<IWorkerGrain>(new JobSilo(JobId, here.SiloAddress.ToParsableString()).ToString()).Discard(cancellationToken);
        },
        cancellationToken);

    public Task Wake(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task<TrainingStatus> GetStatus(CancellationToken cancellationToken = default) => Task.FromResult(job.State.Status(JobId));

    public IAsyncEnumerable<TrainingEvent> Watch(long after = 0, CancellationToken cancellationToken = default)
    {
        RequireStarted();
        return _events.Follow(after, () => Told, cancellationToken);
    }

    public void Dispose()
    {
        _driving.Dispose();
        _writing.Dispose();
        _turns.Dispose();
    }

    /// <summary>Runs one command after the other: each finds the job as the one before has left it.</summary>
    private async Task InTurn(Func<Task> command, CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken);
        try
        {
            await command();
        }
        finally
        {
            _turns.Release();
        }
    }

    // The job runs before its reminder is there: what is stored says so already.
    private async Task Run()
    {
        _events.Add(new PhaseChanged(TrainingPhase.Running));
        BeginDrive();
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await this.RegisterOrUpdateReminder(KeepAlive, ReminderPeriod, ReminderPeriod);
                return;
            }
            catch (OrleansException) when (attempt < MaxAttempts)
            {
                // It is kept by a silo that was lost a moment ago; soon another one will.
                await Delay(CancellationToken.None);
            }
        }
    }

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
        DiscreteVaeEvaluated e => e.Step < told,
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

    /// <summary>Lets a running job rest; one that was cancelled meanwhile is left to who did.</summary>
    private async Task RestAs(TrainingJobState next, string reason)
    {
        if (job.State.Phase == TrainingPhase.Running)
        {
            await Save(next);
            await Rest(reason);
        }
    }

    private async Task Rest(string? reason)
    {
        LogRests(logger, JobId, job.State.Phase, reason);
        _events.Add(new PhaseChanged(job.State.Phase, reason));
        await Forget();
    }

    private async Task Delay(CancellationToken cancellationToken) => await Task.Delay(RetryDelay, clock, cancellationToken)
        .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    private async Task Forget()
    {
        if (await this.GetReminder(KeepAlive) is { } reminder)
        {
            await this.UnregisterReminder(reminder);
        }
    }

    /// <summary>Stores a state. If the store refuses it, the job stays as it was.</summary>
    private async Task Save(TrainingJobState next)
    {
        var before = job.State;
        job.State = next;
        await _writing.WaitAsync();
        try
        {
            await job.WriteStateAsync();
        }
        catch
        {
            job.State = ReferenceEquals(job.State, next) ? before : job.State;
            throw;
        }
        finally
        {
            _writing.Release();
        }
    }

    private static TrainingEvent Number(TrainingEvent entry, long last, DateTimeOffset now) =>
        entry with { Sequence = Math.Max(last + 1, (now - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond), At = now };

    private void RequireStarted()
    {
        if (job.State.Spec is null)
        {
            throw new NotFoundException($"There is no job '{JobId}'.");
        }
    }
}
