using Dalle.Contracts;
using Dalle.Contracts.Training;
using Dalle.Grains.Events;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

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

    private static readonly TimeSpan ReminderPeriod = TimeSpan.FromMinutes(1);

    /// <summary>Events kept for watchers that come late.</summary>
    private const int KeptEvents = 512;

    // Numbers are at least the time in microseconds, and events are rarer: the numbers go on growing in another activation, with nothing stored.
    private readonly EventLog<TrainingEvent> _events = new(
        (entry, last) => Number(entry, last, clock.GetUtcNow()),
        entry => entry.Sequence,
        KeptEvents);

    /// <summary>Microseconds between a rest's being stored and its event's number: whatever is still told in between has a number below it.</summary>
    private const long RestAhead = 1_000_000;

    private readonly SemaphoreSlim _turns = new(1);
    private readonly SemaphoreSlim _writing = new(1);

    /// <summary>Whether nothing more happens, and watchers were told so.</summary>
    private bool Told => job.State.Rests && (_events.Newest is null || (_events.Newest is PhaseChanged { Phase: var phase } && phase == job.State.Phase));

    private string JobId => this.GetPrimaryKeyString();

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        if (job.State.Phase == TrainingPhase.Running)
        {
            BeginDrive();
        }
        else if (job.State.RestSequence is > 0 and var sequence)
        {
            // A watcher that was cut off with the silo where the job came to rest has not been told.
            _events.Restore(new PhaseChanged(job.State.Phase, job.State.Failure) { Sequence = sequence, At = TimeOf(sequence - RestAhead) });
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
        _events.Add(new PhaseChanged(job.State.Phase, reason) { Sequence = job.State.RestSequence });
        await Forget();
    }

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
        if (next.Rests && next.Phase != before.Phase)
        {
            next = next with { RestSequence = Math.Max(_events.Last, NumberOf(clock.GetUtcNow())) + RestAhead };
        }

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
        entry with { Sequence = Math.Max(entry.Sequence, Math.Max(last + 1, NumberOf(now))), At = now };

    private static long NumberOf(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    private static DateTimeOffset TimeOf(long number) => DateTimeOffset.UnixEpoch.AddTicks(number * TimeSpan.TicksPerMicrosecond);

    private void RequireStarted()
    {
        if (job.State.Spec is null)
        {
            throw new NotFoundException($"There is no job '{JobId}'.");
        }
    }
}
