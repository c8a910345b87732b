using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Events;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace Dalle.Grains.Training;

/// <summary>Drives a training job through its stages. The rules are <see cref="TrainingJobState"/>'s; this grain leases stages to the worker, persists and tells.</summary>
/// <remarks>
/// Reentrant: commands wait for the drive to come to rest, and status and watches must get in meanwhile. Only the drive and the commands change the state,
/// and every write goes through <see cref="Save"/>, one at a time.
/// </remarks>
[Reentrant]
public sealed partial class TrainingJobGrain(
    [PersistentState("job")] IPersistentState<TrainingJobState> job, TimeProvider clock, ILogger<TrainingJobGrain> logger)
    : Grain, ITrainingJobGrain, IRemindable, IDisposable
{
    private const string KeepAlive = "keep-alive";

    /// <summary>Tries of a stage whose worker was lost without progress in between, before the job is declared failed.</summary>
    private const int MaxAttempts = 5;

    private static readonly TimeSpan ReminderPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>Events kept for watchers that come late.</summary>
    private const int KeptEvents = 512;

    // Numbers are at least the time in milliseconds: they go on growing in another activation, with nothing stored.
    private readonly EventLog<TrainingEvent> _events = new(
        (entry, last) => entry with { Sequence = Math.Max(last + 1, clock.GetUtcNow().ToUnixTimeMilliseconds()), At = clock.GetUtcNow() },
        entry => entry.Sequence,
        KeptEvents);

    private readonly SemaphoreSlim _writing = new(1);
    private Task _drive = Task.CompletedTask;
    private CancellationTokenSource _driving = new();
    private bool _pausing;

    // The state rests a moment before the event that says so: a watcher that comes in between must not miss it.
    private bool _restIsTold = true;

    private string JobId => this.GetPrimaryKeyString();

    private IWorkerGrain Worker => GrainFactory.GetGrain<IWorkerGrain>(new WorkerId(JobId, 0, 0).ToString());

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

    public async Task Start(TrainingSpec spec, CancellationToken cancellationToken = default)
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
    }

    public async Task Pause(CancellationToken cancellationToken = default)
    {
        RequireStarted();
        if (job.State.Ended)
        {
            throw new InvalidRequestException($"Job '{JobId}' is {job.State.Phase.ToString().ToLowerInvariant()} and cannot be paused.");
        }

        _pausing = true;
        await Worker.Stop(job.State.Epoch, cancellationToken);
        await _drive.WaitAsync(cancellationToken);
    }

    public async Task Resume(CancellationToken cancellationToken = default)
    {
        RequireStarted();
        if (job.State.Rests)
        {
            // Watchers hear that the job rests a moment before its drive has ended: a new one would not begin beside it.
            await _drive.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }

        if (job.State.Resume() is var next && next != job.State)
        {
            await Save(next);
            await Run();
        }
    }

    public async Task Cancel(CancellationToken cancellationToken = default)
    {
        RequireStarted();
        var next = job.State.Cancel();
        if (next == job.State)
        {
            return;
        }

        await Save(next);
        await _driving.CancelAsync();
        await _drive.WaitAsync(cancellationToken);
        await Worker.Discard(cancellationToken);
        await Rest(null);
    }

    public Task Wake(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task<TrainingStatus> GetStatus(CancellationToken cancellationToken = default) => Task.FromResult(job.State.Status(JobId));

    public IAsyncEnumerable<TrainingEvent> Watch(long after = 0, CancellationToken cancellationToken = default)
    {
        RequireStarted();
        return _events.Follow(after, () => job.State.Rests && _restIsTold, cancellationToken);
    }

    public void Dispose()
    {
        _driving.Dispose();
        _writing.Dispose();
    }

    private async Task Run()
    {
        await this.RegisterOrUpdateReminder(KeepAlive, ReminderPeriod, ReminderPeriod);
        _events.Add(new PhaseChanged(TrainingPhase.Running));
        BeginDrive();
    }

    private void BeginDrive()
    {
        if (_drive.IsCompleted)
        {
            (_pausing, _restIsTold) = (false, false);
            _driving.Dispose();
            _driving = new();
            _drive = Drive(_driving.Token);
        }
    }

    // Runs beside the grain's requests, on its scheduler, until the job rests or this activation ends.
    private async Task Drive(CancellationToken cancellationToken)
    {
        var attempts = 0;
        while (job.State.Phase == TrainingPhase.Running && !cancellationToken.IsCancellationRequested)
        {
            var before = (job.State.Stage, job.State.Step);
            try
            {
                await Save(job.State.NextLease());
                if (!await RunStage(cancellationToken))
                {
                    return;
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception lost)
            {
                attempts = before == (job.State.Stage, job.State.Step) ? attempts + 1 : 1;
                LogWorkerLost(logger, lost, JobId, job.State.Stage, attempts);
                if (attempts == MaxAttempts)
                {
                    await Save(job.State.Fail($"{job.State.Stage} was tried {attempts} times without progress: {lost.Message}"));
                    await Rest(job.State.Failure);
                    return;
                }

                await Task.Delay(RetryDelay, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            }
        }
    }

    /// <summary>Leases the present stage to the worker and follows its reports.</summary>
    /// <returns>Whether to go on with the next stage.</returns>
    private async Task<bool> RunStage(CancellationToken cancellationToken)
    {
        var since = clock.GetTimestamp();
        await foreach (var report in Worker.Run(job.State.Lease(), cancellationToken).WithBatchSize(1).WithCancellation(cancellationToken))
        {
            switch (report)
            {
                case ProgressReport { Event: CheckpointSkipped skipped }:
                    LogCheckpointSkipped(logger, JobId, skipped.Checkpoint.Stage, skipped.Checkpoint.Step, skipped.Reason);
                    _events.Add(skipped);
                    break;
                case ProgressReport progress:
                    job.State = job.State.Observe(progress.Event);
                    _events.Add(progress.Event);
                    break;
                case CheckpointReport checkpoint:
                    await Save(job.State.Name(checkpoint.Checkpoint).Spend(Lap()));
                    _events.Add(new CheckpointWritten(checkpoint.Checkpoint));
                    break;
                case DoneReport done:
                    await Complete(done, Lap(), cancellationToken);
                    return !job.State.Rests;
                case StoppedReport:
                    await Save((_pausing ? job.State.Pause() : job.State).Spend(Lap()));
                    await (_pausing ? Rest("paused on request") : Task.CompletedTask);
                    return false;
                case FailedReport failed:
                    await Save(job.State.Fail(failed.Reason).Spend(Lap()));
                    await Rest(failed.Reason);
                    return false;
                default:
                    throw new InvalidOperationException($"A worker sent a {report.GetType().Name}, which this job does not know.");
            }
        }

        throw new InvalidOperationException("The worker ended without a result.");

        TimeSpan Lap()
        {
            var lap = clock.GetElapsedTime(since);
            since = clock.GetTimestamp();
            return lap;
        }
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

        if (job.State.Rests)
        {
            await Rest(null);
        }
        else if (_pausing)
        {
            await Save(job.State.Pause());
            await Rest("paused on request");
        }
    }

    private async Task Rest(string? reason)
    {
        LogRests(logger, JobId, job.State.Phase, reason);
        _events.Add(new PhaseChanged(job.State.Phase, reason));
        _restIsTold = true;
        await Forget();
    }

    private async Task Forget()
    {
        if (await this.GetReminder(KeepAlive) is { } reminder)
        {
            await this.UnregisterReminder(reminder);
        }
    }

    private async Task Save(TrainingJobState next)
    {
        job.State = next;
        await _writing.WaitAsync();
        try
        {
            await job.WriteStateAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    private void RequireStarted()
    {
        if (job.State.Spec is null)
        {
            throw new NotFoundException($"There is no job '{JobId}'.");
        }
    }
}
