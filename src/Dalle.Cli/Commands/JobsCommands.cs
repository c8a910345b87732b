using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;
using Spectre.Console;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle jobs</c>: training jobs, those of the past included.</summary>
internal static class JobsCommands
{
    public static Command Create() => new("jobs", "List, follow and steer training jobs.")
    {
        CreateList(),
        OnJob("show", "Show where a job stands.", Show),
        CreateWatch(),
        OnJob("pause", "Stop a job at the next update, with a checkpoint.", Pause),
        CreateResume(),
        OnJob("cancel", "End a job for good.", Cancel),
    };

    private static Command CreateList()
    {
        var command = new Command("list", "List all jobs, newest first.");
        command.SetAction((parsed, cancellationToken) => List(CommandContext.Of(parsed), cancellationToken));
        return command;
    }

    private static Command CreateWatch()
    {
        var previews = new Option<DirectoryInfo?>("--previews") { Description = "Folder to keep the sample grids in, a PNG for each evaluation.", HelpName = "DIR" };
        var command = OnJob("watch", "Follow a job until it ends.", (parsed, context, cluster, job, cancellationToken) =>
            Watch(context, cluster, job, parsed.GetValue(previews)?.FullName, cancellationToken));
        command.Add(previews);
        return command;
    }

    private static Command CreateResume()
    {
        var replicas = new Option<int?>("--replicas") { Description = "Copies of the parameters from now on. Default: as many as before.", HelpName = "N" }.AtLeast(1);
        var shards = new Option<int?>("--shards") { Description = "Workers that share the parameters of each copy from now on. Default: as many as before.", HelpName = "N" }.AtLeast(1);
        var command = OnJob("resume", "Go on with a paused or failed job from its last checkpoint.", (parsed, context, cluster, job, cancellationToken) =>
            Resume(context, cluster, job, new(parsed.GetValue(replicas), parsed.GetValue(shards)), cancellationToken));
        command.Add(replicas);
        command.Add(shards);
        return command;
    }

    private static Command OnJob(string name, string description, Func<CommandContext, ClusterConnection, string, CancellationToken, Task<int>> action) =>
        OnJob(name, description, (_, context, cluster, job, cancellationToken) => action(context, cluster, job, cancellationToken));

    private static Command OnJob(string name, string description, Func<ParseResult, CommandContext, ClusterConnection, string, CancellationToken, Task<int>> action)
    {
        var job = new Argument<string>("job") { Description = "Id of the job, as 'dalle jobs list' shows it." };
        var command = new Command(name, description) { job };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var context = CommandContext.Of(parsed);
            await using var cluster = await ClusterConnection.Open(context, cancellationToken);
            return await action(parsed, context, cluster, parsed.GetRequiredValue(job), cancellationToken);
        });
        return command;
    }

    private static async Task<int> List(CommandContext context, CancellationToken cancellationToken)
    {
        await using var cluster = await ClusterConnection.Open(context, cancellationToken);
        var jobs = await cluster.Client.ListJobs(cancellationToken);
        context.Terminal.WriteJson(jobs);
        var table = new Table().Border(TableBorder.Simple).AddColumns("job", "phase", "stage", "done", "preset", "data", "model", "submitted");
        foreach (var job in jobs)
        {
            table.AddRow([.. Row(job).Select(cell => new Text(cell))]);
        }

        context.Terminal.Say(table);
        return ExitCodes.Success;
    }

    private static string[] Row(TrainingStatus job) =>
    [
        job.JobId, job.Phase.ToString().ToLowerInvariant(), StageNames.Of(job.Stage), job.Updates > 0 ? Figures.Percent((double)job.Step / job.Updates) : "",
        job.Spec.Preset, job.Spec.Dataset, job.Spec.Model, job.Submitted.ToString("yyyy-MM-dd HH:mm", System.Globalization.CultureInfo.InvariantCulture),
    ];

    private static async Task<int> Show(CommandContext context, ClusterConnection cluster, string job, CancellationToken cancellationToken)
    {
        var status = await cluster.Client.GetStatus(job, cancellationToken);
        context.Terminal.WriteJson(status);
        var grid = new Grid().AddColumns(2);
        void Add(string name, string? value)
        {
            if (value is not null)
            {
                grid.AddRow(new Text(name, new Style(Color.Grey)), new Text(value));
            }
        }

        Add("job", status.JobId);
        Add("phase", status.Phase.ToString().ToLowerInvariant());
        Add("failure", status.Failure);
        Add("stage", status.Updates > 0 ? $"{StageNames.Of(status.Stage)}, update {Figures.Count(status.Step)} of {Figures.Count(status.Updates)}" : StageNames.Of(status.Stage));
        Add("training", $"{status.Spec.Preset} on {status.Spec.Dataset} -> {status.Spec.Model}, seed {status.Spec.Seed}");
        Add("dvae", status.DiscreteVae is { } step ? TrainingFigures.Of(step, status.Reconstruction) : null);
        Add("prior", status.Prior is { } prior ? TrainingFigures.Of(prior) : null);
        Add("checkpoint", status.Checkpoint is { } checkpoint ? $"{StageNames.Of(checkpoint.Stage)} {Figures.Count(checkpoint.Step)}" : null);
        Add("finished", status.StageSeconds.Count > 0
            ? string.Join("  ", status.StageSeconds.OrderBy(stage => stage.Key).Select(stage => $"{StageNames.Of(stage.Key)} {Figures.Duration(TimeSpan.FromSeconds(stage.Value))}"))
            : null);
        context.Terminal.Say(grid);
        return ExitCodes.Success;
    }

    private static async Task<int> Watch(CommandContext context, ClusterConnection cluster, string job, string? previews, CancellationToken cancellationToken)
    {
        var status = await cluster.Client.GetStatus(job, cancellationToken);
        await TrainingRun.Follow(context, cluster, job, TrainingRun.Title(status.Spec), previews, cancellationToken);
        return ExitCodes.Success;
    }

    private static async Task<int> Pause(CommandContext context, ClusterConnection cluster, string job, CancellationToken cancellationToken)
    {
        await cluster.Client.Pause(job, cancellationToken);
        return await Report(context, cluster, job, cancellationToken);
    }

    /// <summary>A silo of its own goes on by itself; one in this process must stay until the job ends.</summary>
    private static async Task<int> Resume(CommandContext context, ClusterConnection cluster, string job, WorkerCounts workers, CancellationToken cancellationToken)
    {
        await cluster.Client.Resume(job, workers, cancellationToken);
        return cluster.IsEmbedded ? await Watch(context, cluster, job, previews: null, cancellationToken) : await Report(context, cluster, job, cancellationToken);
    }

    private static async Task<int> Cancel(CommandContext context, ClusterConnection cluster, string job, CancellationToken cancellationToken)
    {
        await cluster.Client.Cancel(job, cancellationToken);
        return await Report(context, cluster, job, cancellationToken);
    }

    private static async Task<int> Report(CommandContext context, ClusterConnection cluster, string job, CancellationToken cancellationToken)
    {
        var status = await cluster.Client.GetStatus(job, cancellationToken);
        context.Terminal.WriteJson(status);
        context.Terminal.SayLine($"Job {job} is {status.Phase.ToString().ToLowerInvariant()}.");
        return ExitCodes.Success;
    }
}
