namespace Dalle.Cli.Hosting;

/// <summary>Ends a command with one line for people: what was expected, what came and what to do.</summary>
internal sealed class CommandException(string message) : Exception(message);
