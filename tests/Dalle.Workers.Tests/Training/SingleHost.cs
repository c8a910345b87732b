using System.Diagnostics.Metrics;
using System.Net;
using Dalle.Contracts.Training;
using Dalle.Workers.Shards;
using Dalle.Workers.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Runtime;

namespace Dalle.Workers.Tests.Training;

/// <summary>A silo without a cluster, which hosts all workers of a job.</summary>
internal static class SingleHost
{
    private static readonly SiloAddress Silo = SiloAddress.New(new IPEndPoint(IPAddress.Loopback, 1), 1);

    /// <summary>The job on that silo.</summary>
    public static JobSilo Key(string job) => new(job, Silo.ToParsableString());

    /// <summary>All workers there.</summary>
    public static WorkerPlacement Placement(int replicas = 1, int shards = 1) => On(Silo.ToParsableString(), replicas, shards);

    /// <summary>All workers on some silo.</summary>
    public static WorkerPlacement On(string silo, int replicas = 1, int shards = 1) => new(replicas, shards, [new(silo, null, 0, replicas, 0, shards)]);

    /// <summary>Nobody listens to them.</summary>
    public static TrainingInstruments Instruments { get; } = new(new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>());

    /// <summary>What the silo has of the job in memory: nothing.</summary>
    public static JobShards Shards(string job) => new(job, new(Options.Create(new DataPlaneOptions()), new LocalSilo(), TimeProvider.System, NullLogger<DataPlane>.Instance));

    private sealed class LocalSilo : ILocalSiloDetails
    {
        public string Name => "silo";

        public string ClusterId => "cluster";

        public string DnsHostName => "localhost";

        public SiloAddress SiloAddress => Silo;

        public SiloAddress GatewayAddress => Silo;
    }
}
