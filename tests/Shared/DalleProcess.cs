using System.Diagnostics;
using System.Text.Json;

namespace Dalle.Tests.Shared;

/// <summary>The built <c>dalle</c>, run as a user runs it.</summary>
internal static class DalleProcess
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    /// <summary>What a run left behind.</summary>
    internal sealed record Result(int ExitCode, string Output, string Error)
    {
        /// <summary>Standard output as JSON; fails unless it is exactly one document.</summary>
        public JsonElement Json => JsonDocument.Parse(Output).RootElement;

        public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>Starts it, with both outputs redirected.</summary>
    public static Process Start(params IReadOnlyList<string> arguments) => StartWith([], arguments);

    /// <summary>Starts it where the search path for programs is <paramref name="path"/>; null leaves it as it is.</summary>
    public static Process StartWithPath(string? path, params IReadOnlyList<string> arguments) => StartWith(path is null ? [] : [("PATH", path)], arguments);

    /// <summary>Starts it with some variables of the environment set.</summary>
    public static Process StartWith(IReadOnlyList<(string Name, string Value)> variables, params IReadOnlyList<string> arguments)
    {
        // A shell's background jobs ignore Ctrl-C, and hand that down to every program they start: a test run among them too.
        var program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "dalle.exe" : "dalle");
        string[] command = OperatingSystem.IsLinux() ? ["/usr/bin/env", "--default-signal=INT", program] : [program];
        var start = new ProcessStartInfo(command[0]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in command.Skip(1).Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>Runs it to its end.</summary>
    public static Task<Result> Run(params IReadOnlyList<string> arguments) => RunWithPath(path: null, arguments);

    /// <summary>Runs it to its end where the search path for programs is <paramref name="path"/>; null leaves it as it is.</summary>
    public static async Task<Result> RunWithPath(string? path, params IReadOnlyList<string> arguments)
    {
        using var process = StartWithPath(path, arguments);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            var (output, error) = (process.StandardOutput.ReadToEndAsync(deadline.Token), process.StandardError.ReadToEndAsync(deadline.Token));
            await process.WaitForExitAsync(deadline.Token);
            return new(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
