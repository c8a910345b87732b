using Dalle.Contracts.Cluster;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>Silos of one cluster, each a process with a data folder of its own. The first one has the store, which the others join.</summary>
internal sealed class SiloCluster : IAsyncDisposable
{
    private const string Secret = "known-to-the-test-alone";

    private readonly List<TemporaryFolder> _folders = [];
    private readonly List<SiloProcess> _silos = [];

    /// <summary>Those that run, as far as the test knows, in the order in which they came.</summary>
    public IReadOnlyList<SiloProcess> Silos => _silos;

    /// <summary>The first one's data folder, where the cluster's artifacts are.</summary>
    public string DataFolder => _folders[0].FullName;

    /// <summary>The data folders of all that were started.</summary>
    public IEnumerable<string> DataFolders => _folders.Select(folder => folder.FullName);

    /// <summary>Starts so many silos, one after the other.</summary>
    public async Task Start(int silos)
    {
        for (var i = 0; i < silos; i++)
        {
            await Join();
        }
    }

    /// <summary>Starts a silo more.</summary>
    /// <param name="variables">Set in its environment.</param>
    public async Task Join(params IReadOnlyList<(string Name, string Value)> variables)
    {
        _folders.Add(new());
        var join = _silos.Count == 0 ? null : SiloCard.Read(DataFolder)!.Join;
        _silos.Add(await SiloProcess.StartInCluster(_folders[^1].FullName, Secret, join, variables));
    }

    /// <summary>Starts the first silo again, once all have ended.</summary>
    public async Task StartAgain() => _silos.Add(await SiloProcess.StartInCluster(DataFolder, Secret));

    /// <summary>Ends a silo, if it has not ended yet.</summary>
    public async Task Remove(SiloProcess silo)
    {
        _silos.Remove(silo);
        await silo.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _silos)
        {
            await silo.DisposeAsync();
        }

        _folders.ForEach(folder => folder.Dispose());
    }
}
