using System.Threading.Channels;
using Dalle.Contracts.Training;
using Dalle.Model.Safetensors;

namespace Dalle.Workers.Training;

/// <summary>Drives a training stage: from its checkpoint to its last update, with batches read ahead, checkpoints, evaluations and reports in between.</summary>
/// <remarks>None of these touches the computation: the final weights depend on the spec alone, however often the loop was ended and begun again.</remarks>
internal sealed class UpdateLoop<TBatch>(TrainingStage stage, StageContext context, IUpdates<TBatch> updates)
{
    /// <summary>Batches read ahead of the update that takes them.</summary>
    private const int ReadAhead = 3;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    private int _step;
    private int _saved = -1;
    private long _reportedAt;
    private int _reportedStep;

    public async Task<WorkerReport> Run(CancellationToken cancellationToken)
    {
        await Restore(cancellationToken);
        await context.Report(new StageStarted(stage, _step, updates.Count));
        (_reportedAt, _reportedStep) = (context.Clock.GetTimestamp(), _step);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var batches = Channel.CreateBounded<TBatch>(ReadAhead);
        var reader = ReadBatches(batches.Writer, _step, reading.Token);
        try
        {
            while (_step < updates.Count)
            {
                if (context.Stopping)
                {
                    await Save(cancellationToken);
                    return new StoppedReport();
                }

                await Update(await Next(batches.Reader, cancellationToken), cancellationToken);
                if (_step % context.Spec.CheckpointEvery == 0 && _step < updates.Count)
                {
                    await Save(cancellationToken);
                }

                if (_step % updates.EvaluateEvery == 0 && _step < updates.Count)
                {
                    await Evaluate(cancellationToken);
                }
            }
        }
        finally
        {
            await reading.CancelAsync();
            await reader;
        }

        await Evaluate(cancellationToken);
        await context.OnDevice(updates.Save, cancellationToken);
        return new DoneReport();
    }

    /// <summary>Restores the checkpoint that the job names; an older one that was kept, where that cannot be read or was altered.</summary>
    private async Task Restore(CancellationToken cancellationToken)
    {
        if (context.Lease.Checkpoint is not { } named)
        {
            return;
        }

        Exception? damage = null;
        foreach (var checkpoint in context.Folder.Before(named).Prepend(named))
        {
            try
            {
                await context.OnDevice(() => Checkpoint.Restore(context.Folder.PathOf(checkpoint), stage.ToString(), updates.State), cancellationToken);
                (_step, _saved) = (updates.State.Step, updates.State.Step);
                return;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                damage ??= error;
                await context.Report(new CheckpointSkipped(checkpoint, error.Message));
            }
        }

        throw new InvalidDataException(
            $"Neither the newest checkpoint of stage {stage} can be read nor an older one. {damage!.Message} Put a copy back and resume the job, or start a new one.");
    }

    /// <summary>The next batch. What kept it from being read is thrown as it is, not wrapped: it tells whether to try again.</summary>
    private static async Task<TBatch> Next(ChannelReader<TBatch> batches, CancellationToken cancellationToken) =>
        await batches.WaitToReadAsync(cancellationToken) && batches.TryRead(out var batch) ? batch : throw new InvalidOperationException("There were fewer batches than updates.");

    private async Task Update(TBatch batch, CancellationToken cancellationToken)
    {
        var pace = NextPace();
        var step = _step;
        var report = await context.OnDevice(_ => updates.Step(step, batch, pace), cancellationToken);
        _step++;
        if (report is not null)
        {
            await context.Report(report);
        }
    }

    private async Task Save(CancellationToken cancellationToken)
    {
        if (_saved == _step)
        {
            return;
        }

        var checkpoint = context.Folder.Checkpoint(stage, _step);
        await context.OnDevice(() => Checkpoint.Save(context.Folder.PathOf(checkpoint), stage.ToString(), updates.State), cancellationToken);
        _saved = _step;
        await context.Report(new CheckpointReport(checkpoint));
    }

    private async Task Evaluate(CancellationToken cancellationToken)
    {
        var step = _step;
        foreach (var measured in await context.OnDevice(_ => updates.Evaluate(step).ToArray(), cancellationToken))
        {
            await context.Report(measured);
        }
    }

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
