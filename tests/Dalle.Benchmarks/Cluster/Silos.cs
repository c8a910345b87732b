using System.Diagnostics;
using System.Globalization;
using Dalle.Client;
using Dalle.Contracts.Cluster;

namespace Dalle.Benchmarks.Cluster;

/// <summary>Silo processes of one cluster, on folders of their own, with a client connected to the first one.</summary>
internal sealed class Silos : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dalle-benchmark-");
    private readonly List<Process> _processes = [];
    private readonly IReadOnlyList<(string Name, string Value)> _variables;
    private DalleClient? _client;

    private Silos(IReadOnlyList<(string Name, string Value)> variables) => _variables = variables;

    /// <summary>Connected to the first silo.</summary>
    public DalleClient Client => _client ?? throw new InvalidOperationException("No silo was started.");

    /// <summary>How many were started.</summary>
    public int Count => _processes.Count;

    /// <summary>What the first silo tells of itself.</summary>
    public SiloCard Card => SiloCard.Read(FolderOf(0)) ?? throw new InvalidOperationException("No silo runs.");

    /// <summary>Starts silos one after the other.</summary>
    /// <param name="count">How many.</param>
    /// <param name="variables">Set in their environment.</param>
    public static async Task<Silos> Start(int count, params IReadOnlyList<(string Name, string Value)> variables)
    {
        var silos = new Silos(variables);
        try
        {
            for (var i = 0; i < count; i++)
            {
                await silos.Add();
            }

            return silos;
        }
        catch
        {
            await silos.DisposeAsync();
            throw;
        }
    }

    /// <summary>Bytes of memory that the first silo has.</summary>
    public long ResidentBytes()
    {
        _processes[0].Refresh();
        return _processes[0].WorkingSet64;
    }

    /// <summary>Kills the only silo and starts it again on the same folder.</summary>
    public async Task StartFirstAgain()
    {
        _processes[0].Kill();
        await _processes[0].WaitForExitAsync();
        _processes[0].Dispose();
        _processes.Clear();
        await (_client?.DisposeAsync() ?? ValueTask.CompletedTask);
        _client = null;
        await Add();
    }

    /// <summary>Starts another one and waits until it serves.</summary>
    public async Task Add()
    {
        var folder = FolderOf(_processes.Count);
        string[] join = _processes.Count == 0 ? [] : ["--join", Card.Join!];
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "dalle")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])["silo", "--http-port", "0", "--data-dir", folder, .. join])
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DALLE_CLUSTERSECRET"] = "known-to-the-benchmark";
        foreach (var (name, value) in _variables)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        _processes.Add(process);
        _ = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(Deadline);
        while (await process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
        {
            if (line.StartsWith("Serving ", StringComparison.Ordinal))
            {
                _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
                _client ??= await DalleClient.Connect(folder);
                return;
            }
        }

        throw new InvalidOperationException($"Silo {_processes.Count} ended before it served.");
    }

    /// <summary>Kills the silo that was started last.</summary>
    public void KillLast() => _processes[^1].Kill();

    /// <summary>Asks the silo that was started last to leave in good order.</summary>
    public async Task StopLast()
    {
        using var kill = Process.Start("kill", ["-TERM", _processes[^1].Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // The first one last: the others' store is in it.
        foreach (var process in Enumerable.Reverse(_processes))
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        await (_client?.DisposeAsync() ?? ValueTask.CompletedTask);
        _folder.Delete(recursive: true);
    }

    private string FolderOf(int silo) => Path.Combine(_folder.FullName, silo.ToString(CultureInfo.InvariantCulture));
}
