using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Quickstart;
using Dalle.Contracts.Training;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle quickstart</c>: the whole system in minutes, on one machine, with nothing to prepare.</summary>
internal static class QuickstartCommand
{
    /// <summary>The quickstart's silo keeps its files here, within --out; emptied by every run.</summary>
    private const string DataFolder = ".dalle";

    public static Command Create()
    {
        var full = new Option<bool>("--full") { Description = "Train the prior for longer, for better pictures." };
        var folder = new Option<DirectoryInfo>("--out") { Description = "Folder for the pictures and report.json.", HelpName = "DIR", DefaultValueFactory = _ => new("quickstart") };
        var command = new Command("quickstart", "Train a small model on built-in scenes, draw four prompts it never saw, and measure it.") { full, folder };
        command.SetAction((parsed, cancellationToken) =>
            Run(CommandContext.Of(parsed), parsed.GetRequiredValue(folder).FullName, QuickstartRun.SpecOf(parsed.GetValue(full) ? "tiny-full" : "tiny"), cancellationToken));
        return command;
    }

    /// <summary>A run into a folder, which may hold the files of an older one.</summary>
    internal static async Task<int> Run(CommandContext context, string folder, TrainingSpec spec, CancellationToken cancellationToken)
    {
        var own = context with { DataDirectory = Path.Combine(folder, DataFolder) };
        await RemoveOldSilo(own, cancellationToken);
        Directory.CreateDirectory(folder);
        return await new QuickstartRun(own, folder, spec).Run(cancellationToken);
    }

    private static async Task RemoveOldSilo(CommandContext context, CancellationToken cancellationToken)
    {
        if (await ClusterConnection.IsServed(context.DataDirectory, cancellationToken))
        {
            throw new CommandException($"A silo still serves {context.DataDirectory}; stop it, or name another folder with --out.");
        }

        if (Directory.Exists(context.DataDirectory))
        {
            Directory.Delete(context.DataDirectory, recursive: true);
        }
    }
}
