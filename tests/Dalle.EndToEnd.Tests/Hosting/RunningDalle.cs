using System.Diagnostics;
using System.Runtime.InteropServices;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>A <c>dalle</c> command that runs beside the test, which reads what it says and sends it signals.</summary>
internal sealed partial class RunningDalle : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(4);

    private readonly Process _process;
    private readonly Task<string> _error;
    private readonly CancellationTokenSource _deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    private RunningDalle(Process process)
    {
        _process = process;
        _deadline.CancelAfter(Deadline);
        _error = process.StandardError.ReadToEndAsync(CancellationToken.None);
    }

    public static RunningDalle Start(params IReadOnlyList<string> arguments) => StartWith([], arguments);

    public static RunningDalle StartWith(IReadOnlyList<(string Name, string Value)> variables, params IReadOnlyList<string> arguments) => new(DalleProcess.StartWith(variables, arguments));

    /// <summary>The next line of standard output that begins so.</summary>
    public async Task<string> Line(string beginning)
    {
        while (await _process.StandardOutput.ReadLineAsync(_deadline.Token) is { } line)
        {
            if (line.StartsWith(beginning, StringComparison.Ordinal))
            {
                return line;
            }
        }

        throw new InvalidOperationException($"'dalle' ended before it wrote '{beginning}': {await _error}");
    }

    /// <summary>Sends a signal.</summary>
    public void Send(Signal signal)
    {
        if (Kill(_process.Id, (int)signal) != 0)
        {
            throw new InvalidOperationException($"Process {_process.Id} could not be sent {signal}: errno {Marshal.GetLastPInvokeError()}.");
        }
    }

    /// <summary>Waits for its end.</summary>
    public async Task<DalleProcess.Result> End()
    {
        var output = await _process.StandardOutput.ReadToEndAsync(_deadline.Token);
        await _process.WaitForExitAsync(_deadline.Token);
        return new(_process.ExitCode, output, await _error);
    }

    /// <summary>Ends it, if the test has not.</summary>
    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        _deadline.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}

/// <summary>What a process can be sent.</summary>
internal enum Signal
{
    /// <summary>Ctrl-C.</summary>
    Interrupt = 2,

    /// <summary>Cannot be handled: the process is gone at once.</summary>
    Kill = 9,

    /// <summary>What service managers send first.</summary>
    Terminate = 15,

    /// <summary>Halts the process where it is, as a machine that hangs would: its connections stay open.</summary>
    Halt = 19,
}
