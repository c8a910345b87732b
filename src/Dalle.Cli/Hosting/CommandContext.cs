using System.CommandLine;

namespace Dalle.Cli.Hosting;

/// <summary>What every command has at hand.</summary>
/// <param name="Terminal">Where it writes.</param>
/// <param name="DataDirectory">Full path of the silo's folder.</param>
/// <param name="Verbose">Whether the silo's log is shown.</param>
/// <param name="Clock">The time.</param>
internal sealed record CommandContext(Terminal Terminal, string DataDirectory, bool Verbose, TimeProvider Clock)
{
    public static CommandContext Of(ParseResult parsed) => new(
        new Terminal(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error, parsed.GetValue(GlobalOptions.Json)),
        parsed.GetRequiredValue(GlobalOptions.DataDirectory).FullName,
        parsed.GetValue(GlobalOptions.Verbose),
        TimeProvider.System);

    /// <summary>A command line that the user can paste: with the data folder, where it is not the usual one.</summary>
    public string CommandFor(string command) => DataDirectory == GlobalOptions.DefaultDataDirectory ? $"dalle {command}" : $"dalle {command} --data-dir {Quoted(DataDirectory)}";

    /// <summary>A path as one word of a command line.</summary>
    public static string Quoted(string path) => path.Contains(' ', StringComparison.Ordinal) ? $"\"{path}\"" : path;
}
