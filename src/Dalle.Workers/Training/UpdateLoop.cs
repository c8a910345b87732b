using System.Threading.Channels;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;

namespace Dalle.Workers.Training;

/// <summary>Drives a training stage: from its checkpoint to its last update, with batches read ahead, checkpoints, evaluations and reports in between.</summary>
/// <remarks>None of these touches the computation: the final weights depend on the spec alone, however often the loop was ended and begun again, and on however many silos.</remarks>
internal sealed class UpdateLoop<TBatch>(StageContext context, IUpdates<TBatch> updates, HostedWorkers<TBatch> workers)
{
    /// <summary>Batches read ahead of the update that takes them.</summary>
    private const int ReadAhead = 3;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    private int _step;
    private int _saved = -1;
    private long _reportedAt;
    private int _reportedStep;

    private TrainingStage Stage => context.Lease.Stage;

    public async Task<WorkerReport> Run(CancellationToken cancellationToken)
    {
        await Restore(cancellationToken);
        await Report(new StageStarted(Stage, _step, updates.Count));
        (_reportedAt, _reportedStep) = (context.Clock.GetTimestamp(), _step);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var batches = Channel.CreateBounded<TBatch>(ReadAhead);
        var reader = ReadBatches(batches.Writer, _step, reading.Token);
        try
        {
            while (_step < updates.Count)
            {
                if (workers.Alone && context.Stopping is { } keep)
                {
                    return await Stop(keep, leaving: new HashSet<int>(), cancellationToken);
                }

                var verdict = await Update(await Next(batches.Reader, cancellationToken), cancellationToken);
                if (_step % context.Spec.CheckpointEvery == 0 && _step < updates.Count)
                {
                    await Save(scheduled: true, cancellationToken);
                }

                if (_step % updates.EvaluateEvery == 0 && _step < updates.Count)
                {
                    await Evaluate(cancellationToken);
                }

                if (_step < updates.Count && await FollowWishes(verdict, cancellationToken) is { } stopped)
                {
                    return stopped;
                }
            }
        }
        catch (Exception broken) when (broken is TransportException or OperationCanceledException)
        {
            await context.OnDevice(workers.KeepLast, CancellationToken.None);
            throw;
        }
        finally
        {
            await reading.CancelAsync();
            await reader;
        }

        await Evaluate(cancellationToken);
        if (workers.Leads)
        {
            await context.OnDevice(updates.Save, cancellationToken);
        }

        return new DoneReport();
    }

    /// <summary>Does what the hosts have agreed on with their last update: all of them do it now.</summary>
    /// <returns>The last report, if the stage is to end.</returns>
    private async Task<WorkerReport?> FollowWishes(Verdict verdict, CancellationToken cancellationToken)
    {
        if (workers.Alone)
        {
            return null;
        }

        var wishes = verdict.Wishes;
        if (wishes.HasFlag(Wishes.StopForGood) || verdict.Leaving.Count == context.Lease.Placement.Hosts.Count)
        {
            return await Stop(StateKeeping.Checkpoint, verdict.Leaving, cancellationToken);
        }

        if (wishes.HasFlag(Wishes.Leave) || wishes.HasFlag(Wishes.Stop))
        {
            return await Stop(StateKeeping.Memory, verdict.Leaving, cancellationToken);
        }

        if (wishes.HasFlag(Wishes.Snapshot) && !wishes.HasFlag(Wishes.NoSnapshot))
        {
            await context.OnDevice(() => workers.KeepSnapshot(_step, verdict.Leaving, wait: false), cancellationToken);
        }

        return null;
    }

    private async Task<WorkerReport> Stop(StateKeeping keep, IReadOnlySet<int> leaving, CancellationToken cancellationToken)
    {
        if (keep == StateKeeping.Checkpoint)
        {
            await Save(scheduled: false, cancellationToken);
        }
        else
        {
            await context.OnDevice(() => workers.KeepSnapshot(_step, leaving, wait: true), cancellationToken);
        }

        return new StoppedReport(context.Leaving);
    }

    /// <summary>Restores the snapshot that the job names, or the checkpoint; an older one that was kept, where that cannot be read or was altered.</summary>
    private async Task Restore(CancellationToken cancellationToken)
    {
        if (context.Lease.Snapshot is { } snapshot)
        {
            await context.OnDevice(() => workers.Restore(snapshot), cancellationToken);
            _step = snapshot.Step;
            return;
        }

        if (context.Lease.Checkpoint is not { } named)
        {
            await context.OnDevice(() => workers.Begin(0), cancellationToken);
            return;
        }

        var restored = await RestoreAtMost(named, named.Step, cancellationToken);
        while (await context.OnDevice(_ => workers.Agree(restored), cancellationToken) is var (least, most) && least != most)
        {
            // Another host could not read what this one could.
            restored = restored == least ? restored : await RestoreAtMost(named, least, cancellationToken);
        }

        await context.OnDevice(() => workers.Begin(restored), cancellationToken);
        (_step, _saved) = (restored, restored);
    }

    /// <summary>Restores the newest checkpoint up to the named one and a step that can be read.</summary>
    /// <returns>Its step.</returns>
    private async Task<int> RestoreAtMost(CheckpointManifest named, int most, CancellationToken cancellationToken)
    {
        Exception? damage = null;
        foreach (var checkpoint in context.Folder.Before(named).Prepend(named).Where(checkpoint => checkpoint.Step <= most))
        {
            try
            {
                await context.OnDevice(() => workers.Restore(checkpoint), cancellationToken);
                return checkpoint.Step;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                damage ??= error;
                await Report(new CheckpointSkipped(checkpoint, error.Message));
            }
        }

        throw new InvalidDataException(
            $"Neither the newest checkpoint of stage {Stage} can be read nor an older one. {damage?.Message} Put a copy back and resume the job, or start a new one.");
    }

    /// <summary>The next batch. What kept it from being read is thrown as it is, not wrapped: it tells whether to try again.</summary>
    private static async Task<TBatch> Next(ChannelReader<TBatch> batches, CancellationToken cancellationToken) =>
        await batches.WaitToReadAsync(cancellationToken) && batches.TryRead(out var batch) ? batch : throw new InvalidOperationException("There were fewer batches than updates.");

    private async Task<Verdict> Update(TBatch batch, CancellationToken cancellationToken)
    {
        var pace = workers.Leads ? NextPace() : null;
        var (step, wishes) = (_step, OwnWishes());
        var (report, verdict) = await context.OnDevice(_ => workers.Step(step, batch, pace, wishes), cancellationToken);
        _step++;
        if (report is not null)
        {
            await context.Report(report);
        }

        return verdict;
    }

    private Wishes OwnWishes() => context.Leaving ? Wishes.Leave : context.Stopping switch
    {
        StateKeeping.Checkpoint => Wishes.StopForGood,
        StateKeeping.Memory => Wishes.Stop,
        _ => Wishes.None,
    };

    private async Task Save(bool scheduled, CancellationToken cancellationToken)
    {
        if (_saved == _step)
        {
            return;
        }

        var checkpoint = context.Folder.Checkpoint(Stage, _step);
        await context.OnDevice(() => workers.Save(checkpoint, scheduled), cancellationToken);
        _saved = _step;
        if (workers.Leads)
        {
            await context.Report(new CheckpointReport(checkpoint));
        }
    }

    private async Task Evaluate(CancellationToken cancellationToken)
    {
        var step = _step;
        var measured = await context.OnDevice(
            _ =>
            {
                workers.PublishAverage(step);
                return workers.Leads ? updates.Evaluate(step).ToArray() : [];
            },
            cancellationToken);
        foreach (var progress in measured)
        {
            await context.Report(progress);
        }
    }

    private ValueTask Report(TrainingEvent progress) => workers.Leads ? context.Report(progress) : ValueTask.CompletedTask;

    /// <summary>The speed since the last report if one is due, else null.</summary>
    private Pace? NextPace()
    {
        var elapsed = context.Clock.GetElapsedTime(_reportedAt);
        var last = _step + 1 == updates.Count;
        if (_step == _reportedStep || (elapsed < ReportEvery && !last))
        {
            return last ? new Pace(0, TimeSpan.Zero) : null;
        }

        var speed = (_step - _reportedStep) / Math.Max(elapsed.TotalSeconds, 1e-9);
        (_reportedAt, _reportedStep) = (context.Clock.GetTimestamp(), _step);
        return new(speed, TimeSpan.FromSeconds((updates.Count - _step - 1) / speed));
    }

    private async Task ReadBatches(ChannelWriter<TBatch> batches, int from, CancellationToken cancellationToken)
    {
        try
        {
            for (var step = from; step < updates.Count; step++)
            {
                var batch = await Task.Run(() => updates.Prepare(step), cancellationToken);
                await batches.WriteAsync(batch, cancellationToken);
            }

            batches.Complete();
        }
        catch (Exception error)
        {
            batches.Complete(error);
        }
    }
}
