using System.CommandLine;
using System.CommandLine.Parsing;
using Dalle.Cli.Commands;
using Dalle.Contracts;
using Dalle.Data.Sources;
using Microsoft.Extensions.Options;

namespace Dalle.Cli.Hosting;

/// <summary>Runs one command line: parses, invokes, and turns whatever goes wrong into one line and an exit code.</summary>
internal static class Invocation
{
    public static async Task<int> Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error, CancellationToken cancellationToken)
    {
        var parsed = CommandTree.Create().Parse(arguments is [] ? ["--help"] : arguments);
        if (parsed.Errors.Count > 0)
        {
            error.WriteLine($"dalle: {(parsed.UnmatchedTokens is [var unknown, ..] ? $"Unrecognized command or argument '{unknown}'." : parsed.Errors[0].Message)}");
            error.WriteLine($"Try '{PathOf(parsed.CommandResult)} --help'.");
            return ExitCodes.Usage;
        }

        try
        {
            var configuration = new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCodes.Interrupted;
        }
        catch (Exception exception)
        {
            error.WriteLine(parsed.GetValue(GlobalOptions.Verbose) ? exception.ToString() : $"dalle: {Reason(exception)}");
            return ExitCodes.Failure;
        }
    }

    /// <summary>One line that says what went wrong.</summary>
    internal static string Reason(Exception exception) => exception switch
    {
        OverloadedException overloaded => $"{OneLine(overloaded.Message)} Try again in {overloaded.RetryAfter.TotalSeconds:0} s.",
        CommandException or InvalidRequestException or NotFoundException or GenerationFailedException or SourceException or InvalidDataException or IOException or UnauthorizedAccessException
            or TimeoutException or ClusterUnavailableException or OptionsValidationException => OneLine(exception.Message),
        AggregateException { InnerExceptions: [var only] } => Reason(only),
        _ => $"unexpected {exception.GetType().Name}: {OneLine(exception.Message)} (--verbose shows where.)",
    };

    private static string OneLine(string text) => string.Join(' ', text.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static string PathOf(SymbolResult? result) => result switch
    {
        CommandResult { Parent: null } => "dalle",
        CommandResult { Command.Name: var name, Parent: var parent } => $"{PathOf(parent)} {name}",
        _ => "dalle",
    };
}
