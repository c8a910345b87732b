using System.CommandLine;
using Dalle.Cli.Hosting;
using Dalle.Cli.Quickstart;

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
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var output = parsed.GetRequiredValue(folder).FullName;
            var context = CommandContext.Of(parsed) with { DataDirectory = Path.Combine(output, DataFolder) };
            await RemoveOldSilo(context, cancellationToken);
            Directory.CreateDirectory(output);
            return await new QuickstartRun(context, output, parsed.GetValue(full) ? "tiny-full" : "tiny").Run(cancellationToken);
        });
        return command;
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
