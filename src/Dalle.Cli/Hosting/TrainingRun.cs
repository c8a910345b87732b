using System.Runtime.CompilerServices;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;

namespace Dalle.Cli.Hosting;

/// <summary>A job followed to its end on behalf of a command, with what that end means for the user and the exit code.</summary>
internal static class TrainingRun
{
    /// <summary>Time a pause may take: a step, then its checkpoint.</summary>
    private static readonly TimeSpan PauseDeadline = TimeSpan.FromMinutes(2);

    /// <summary>A job in a few words.</summary>
    public static string Title(TrainingSpec spec) => $"{spec.Preset} on {spec.Dataset} -> {spec.Model}";

    /// <param name="context">Where to show it.</param>
    /// <param name="cluster">Where the job runs.</param>
    /// <param name="job">Its id.</param>
    /// <param name="title">The job in a few words.</param>
    /// <param name="previews">Folder to keep the sample grids in, one PNG for each evaluation; null for none.</param>
    /// <param name="cancellationToken">Interrupts the command.</param>
    /// <returns>The job's status, completed or paused.</returns>
    /// <exception cref="CommandException">The job failed or was cancelled.</exception>
    /// <exception cref="OperationCanceledException">The command was interrupted; the job was left as its silo allows.</exception>
    public static async Task<TrainingStatus> Follow(CommandContext context, ClusterConnection cluster, string job, string title, string? previews, CancellationToken cancellationToken)
    {
        var events = cluster.Client.Watch(job, cancellationToken: cancellationToken);
        try
        {
            await TrainingWatch.Follow(context, new TrainingProgress(), title, previews is null ? events : Keeping(events, previews, cancellationToken), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Leave(context, cluster, job);
            throw;
        }

        return await Conclude(context, cluster, job, cancellationToken);
    }

    /// <summary>The events as they come, each sample grid written to the folder first.</summary>
    private static async IAsyncEnumerable<TrainingEvent> Keeping(
        IAsyncEnumerable<TrainingEvent> events, string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        await foreach (var next in events.WithCancellation(cancellationToken))
        {
            if (next is SampleGridReady grid)
            {
                await File.WriteAllBytesAsync(Path.Combine(folder, $"{StageNames.Of(grid.Stage)}-{grid.Step}.png"), grid.Png, cancellationToken);
            }

            yield return next;
        }
    }

    /// <summary>A job in a silo of its own goes on without its watcher; one in this process is paused, which writes a checkpoint.</summary>
    private static async Task Leave(CommandContext context, ClusterConnection cluster, string job)
    {
        if (!cluster.IsEmbedded)
        {
            context.Terminal.SayLine($"Job {job} goes on in the silo. Follow it with: {context.CommandFor($"jobs watch {job}")}");
            return;
        }

        context.Terminal.SayLine("Stopping: writing a checkpoint ...");
        using var deadline = new CancellationTokenSource(PauseDeadline, context.Clock);
        await cluster.Client.Pause(job, deadline.Token);
        var status = await cluster.Client.GetStatus(job, deadline.Token);
        context.Terminal.SayLine($"Paused in {StageNames.Of(status.Stage)} at update {Figures.Count(status.Step)} of {Figures.Count(status.Updates)}. Resume with: {context.CommandFor($"jobs resume {job}")}");
    }

    private static async Task<TrainingStatus> Conclude(CommandContext context, ClusterConnection cluster, string job, CancellationToken cancellationToken)
    {
        var status = await cluster.Client.GetStatus(job, cancellationToken);
        switch (status.Phase)
        {
            case TrainingPhase.Completed:
                context.Terminal.SayLine($"Model {status.Spec.Model} is published.");
                return status;
            case TrainingPhase.Paused:
                context.Terminal.SayLine($"Job {job} is paused. Resume with: {context.CommandFor($"jobs resume {job}")}");
                return status;
            case TrainingPhase.Failed:
                throw new CommandException($"Job {job} failed in {StageNames.Of(status.Stage)}: {status.Failure} Once that is put right: {context.CommandFor($"jobs resume {job}")}");
            case TrainingPhase.Cancelled:
                throw new CommandException($"Job {job} was cancelled.");
            default:
                throw new CommandException($"Job {job} is still {status.Phase} but its events ended. Follow it with: {context.CommandFor($"jobs watch {job}")}");
        }
    }
}
