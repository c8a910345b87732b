using System.Net;
using Dalle.Silo.Storage;
using Dalle.Workers.Shards;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans.Clustering.Redis;
using Orleans.Configuration;
using Orleans.Persistence;
using Orleans.Storage;

namespace Dalle.Silo.Hosting;

/// <summary>Adds what makes silos a cluster: endpoints, membership, storage and reminders.</summary>
internal static class ClusterHosting
{
    /// <summary>Missed probes that declare a silo dead.</summary>
    private const int MissedProbes = 2;

    public static ISiloBuilder AddDalleCluster(this ISiloBuilder silo)
    {
        silo.Services.AddSingleton<ClusterCertificate>();
        silo.Services.AddSingleton<ClusterStore>();
        silo.Services.AddSingleton<ClusterArtifacts>();
        silo.Services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>, StaleMembership>();
        silo.Services.AddOptions<ClusterOptions>().Configure<IOptions<SiloOptions>>((cluster, options) =>
            (cluster.ClusterId, cluster.ServiceId) = (options.Value.ClusterId, options.Value.ClusterId));
        silo.Services.AddOptions<EndpointOptions>().Configure<IOptions<SiloOptions>>((endpoints, options) => SetEndpoints(endpoints, options.Value));
        silo.Services.AddOptions<ClusterMembershipOptions>().Configure<IOptions<SiloOptions>>((membership, options) =>
            (membership.ProbeTimeout, membership.NumMissedProbesLimit) = (options.Value.ProbeTimeout, MissedProbes));

        // With the usual directory the death of a silo also ends the grains of others whose entries it had, and may begin some twice. What a grain has written
        // without others is guarded by the store's versions, so its silo's death need not be waited out.
#pragma warning disable ORLEANSEXP003 // Its interface may change; what silos say to each other is the same package's on both sides.
        silo.AddDistributedGrainDirectory();
#pragma warning restore ORLEANSEXP003
        silo.Services.Configure<GrainDirectoryOptions>(directory => directory.RangeLeaseDuration = TimeSpan.Zero);
        silo.Services.AddOptions<SiloConnectionOptions>().Configure<ClusterCertificate>((connections, certificate) => certificate.Secure(connections));
        silo.Services.AddOptions<DataPlaneOptions>().Configure<IOptions<SiloOptions>, ClusterCertificate>((plane, options, certificate) =>
        {
            (plane.Address, plane.AdvertisedAddress) = (options.Value.ClusterListenAddress, options.Value.ReachableAddress);
            (plane.Port, plane.AdvertisedPort) = (options.Value.DataPort, options.Value.AdvertisedDataPort);
            (plane.Secret, plane.Certificate) = (options.Value.ClusterSecret, certificate.Certificate);
        });
        silo.UseRedisClustering(_ => { });
        silo.Services.AddOptions<RedisClusteringOptions>().Configure<ClusterStore>((redis, store) => redis.ConfigurationOptions = store.Connection);
        silo.UseRedisReminderService(_ => { });
        silo.Services.AddOptions<RedisReminderTableOptions>().Configure<ClusterStore>((redis, store) => redis.ConfigurationOptions = store.Connection);
        silo.Services.AddSingleton<IGrainStorageSerializer, OrleansGrainStorageSerializer>();
        silo.AddRedisGrainStorageAsDefault(storage => storage.Configure<ClusterStore>(Connect));
        silo.AddRedisGrainStorage(Grains.Generation.GenerationStorage.Name, storage => storage
            .Configure<ClusterStore>(Connect)
            .Configure<IOptions<SiloOptions>>((redis, options) => redis.EntryExpiry = options.Value.SessionRetention));
        return silo;
    }

    private static void Connect(RedisStorageOptions redis, ClusterStore store) => redis.ConfigurationOptions = store.Connection;

    private static void SetEndpoints(EndpointOptions endpoints, SiloOptions options)
    {
        var ports = FreePorts.Settle(options.ClusterListenAddress, options.SiloPort, options.GatewayPort);
        (endpoints.SiloPort, endpoints.GatewayPort) = (ports[0], ports[1]);
        endpoints.AdvertisedIPAddress = options.ReachableAddress;
        endpoints.SiloListeningEndpoint = new IPEndPoint(options.ClusterListenAddress, ports[0]);
        endpoints.GatewayListeningEndpoint = new IPEndPoint(options.ClusterListenAddress, ports[1]);
    }
}
