using System.CommandLine;

namespace Dalle.Cli.Commands;

/// <summary><c>dalle data</c>: datasets, from captioned pictures of many kinds.</summary>
internal static class DataCommands
{
    public static Command Create() => new("data", "Make datasets of captioned pictures, and look at them.")
    {
        DataImportCommand.Create(),
        DataInspectCommand.Create(),
    };
}
