using Dalle.Grains.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.Hosting;
using Orleans.Serialization;
using Orleans.TestingHost;

namespace Dalle.Grains.Tests.Hosting;

/// <summary>Two silos with the scripted grains of this assembly, over one <see cref="StoredGrains"/>.</summary>
public sealed class GrainCluster : IAsyncLifetime
{
    private readonly InProcessTestCluster _cluster;

    public GrainCluster()
    {
        var builder = new InProcessTestClusterBuilder(initialSilosCount: 2);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddSingleton<TimeProvider>(Clock);
            silo.Services.AddGrainStorage("Default", (services, _) => new SharedStorage(Stored, services.GetRequiredService<Serializer>()));
            silo.AddDalleGrains().UseInMemoryReminderService();
        });
        _cluster = builder.Build();
    }

    public IGrainFactory Grains => _cluster.Client;

    public StoredGrains Stored { get; } = new();

    public RetryClock Clock { get; } = new();

    public IReadOnlyList<InProcessSiloHandle> Silos => [.. _cluster.Silos];

    public async ValueTask InitializeAsync() => await _cluster.DeployAsync();

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    /// <summary>Ends every activation that is not in a call; what is asked of its grain next begins another.</summary>
    public Task EndActivations(CancellationToken cancellationToken) =>
        Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, cancellationToken);

    /// <summary>One silo more.</summary>
    public Task<InProcessSiloHandle> Join() => _cluster.StartAdditionalSiloAsync();

    public Task Stop(InProcessSiloHandle silo) => _cluster.StopSiloAsync(silo);
}
