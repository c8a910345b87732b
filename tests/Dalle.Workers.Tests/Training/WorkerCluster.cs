using Dalle.Contracts.Training;
using Dalle.Grains.Hosting;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;

namespace Dalle.Workers.Tests.Training;

/// <summary>A silo with real workers over a folder of its own. Tests are the jobs: they give leases and read reports.</summary>
public sealed class WorkerCluster : IAsyncLifetime
{
    private readonly InProcessTestCluster _cluster;

    public WorkerCluster()
    {
        var builder = new InProcessTestClusterBuilder(initialSilosCount: 1);
        builder.ConfigureSilo((_, silo) => silo.AddDalleGrains().AddDalleWorkers(options => (options.ArtifactFolder, options.DeviceThreads) = (Folder, 1)));
        _cluster = builder.Build();
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("dalle-worker-").FullName;

    /// <summary>The silo's artifact store.</summary>
    public ArtifactStore Store => _cluster.Silos[0].ServiceProvider.GetRequiredService<ArtifactStore>();

    public async ValueTask InitializeAsync() => await _cluster.DeployAsync();

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    public IWorkerGrain Worker(string job) => _cluster.Client.GetGrain<IWorkerGrain>(new JobSilo(job, Silo).ToString());

    public IShardGrain Shards(string job) => _cluster.Client.GetGrain<IShardGrain>(new JobSilo(job, Silo).ToString());

    private string Silo => _cluster.Silos[0].SiloAddress.ToParsableString();

    /// <summary>A lease of the test preset: 25 updates of each network, a checkpoint after every 5, of which 2 are kept.</summary>
    public StageLease Lease(TrainingStage stage, long epoch = 1, string dataset = "scenes") => new()
    {
        Epoch = epoch,
        Stage = stage,
        Placement = SingleHost.On(Silo),
        Spec = new()
        {
            Preset = "test", Dataset = dataset, Model = "m", Seed = 3, DiscreteVaeUpdates = 25, PriorUpdates = 25, RerankerUpdates = 25, CheckpointEvery = 5, KeepCheckpoints = 2, ThreadsPerWorker = 1,
        },
    };

    /// <summary>Runs a stage as a job does, to its last report.</summary>
    /// <param name="job">The job.</param>
    /// <param name="lease">What to run.</param>
    /// <param name="observe">Sees every report before it is acknowledged.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<List<WorkerReport>> Run(string job, StageLease lease, Func<WorkerReport, Task>? observe, CancellationToken cancellationToken)
    {
        var reports = new List<WorkerReport>();
        await foreach (var report in Worker(job).Run(lease, cancellationToken).WithBatchSize(1).WithCancellation(cancellationToken))
        {
            reports.Add(report);
            await (observe?.Invoke(report) ?? Task.CompletedTask);
        }

        return reports;
    }
}
