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
    private DalleClient? _client;

    /// <summary>Connected to the first silo.</summary>
    public DalleClient Client => _client ?? throw new InvalidOperationException("No silo was started.");

    /// <summary>How many were started.</summary>
    public int Count => _processes.Count;

    /// <summary>Starts silos one after the other.</summary>
    public static async Task<Silos> Start(int count)
    {
        var silos = new Silos();
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

    /// <summary>Starts another one and waits until it serves.</summary>
    public async Task Add()
    {
        var folder = Path.Combine(_folder.FullName, _processes.Count.ToString(CultureInfo.InvariantCulture));
        string[] join = _processes.Count == 0 ? [] : ["--join", SiloCard.Read(FolderOf(0))!.Join!];
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "dalle")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])["silo", "--http-port", "0", "--data-dir", folder, .. join])
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DALLE_CLUSTERSECRET"] = "known-to-the-benchmark";
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
