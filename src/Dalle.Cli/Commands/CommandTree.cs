using System.CommandLine;
using Dalle.Cli.Hosting;

namespace Dalle.Cli.Commands;

/// <summary>All commands of <c>dalle</c>.</summary>
internal static class CommandTree
{
    public static RootCommand Create() => new("Text to picture: train a discrete VAE and a prior on captioned pictures, and draw from them.")
    {
        QuickstartCommand.Create(),
        DataCommands.Create(),
        TrainCommand.Create(),
        JobsCommands.Create(),
        GenerateCommand.Create(),
        EditCommand.Create(),
        ModelsCommands.Create(),
        EvalCommand.Create(),
        PlanCommand.Create(),
        SiloCommand.Create(),
        ClusterCommand.Create(),
        KeysCommands.Create(),
        GlobalOptions.DataDirectory,
        GlobalOptions.Json,
        GlobalOptions.Verbose,
    };
}
