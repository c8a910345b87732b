using Dalle.Contracts.Cluster;
using Dalle.Grains.Cluster;
using Dalle.Grains.Generation;
using Dalle.Grains.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Orleans.Configuration;

namespace Dalle.Grains.Hosting;

/// <summary>Adds what decides to a silo.</summary>
public static class GrainsHosting
{
    /// <summary>Time from one look for grains that have been idle for long enough to the next.</summary>
    private static readonly TimeSpan CollectionQuantum = TimeSpan.FromSeconds(5);

    /// <summary>Adds the services of job, catalog and session grains. The silo brings default grain storage, storage <see cref="GenerationStorage.Name"/> and reminders.</summary>
    public static ISiloBuilder AddDalleGrains(this ISiloBuilder silo)
    {
        silo.Services.TryAddSingleton(TimeProvider.System);
        silo.Services.TryAddSingleton<GeneratorDirectory>();
        silo.Services.TryAddSingleton<DeviceDirectory>();
        silo.Services.TryAddSingleton<JobSilos>();
        silo.Services.Configure<GrainCollectionOptions>(collection =>
        {
            collection.CollectionQuantum = CollectionQuantum;
            collection.ClassSpecificCollectionAge[typeof(GenerationSessionGrain).FullName!] = GenerationSessionGrain.IdleAge;
        });
        silo.Services.AddPlacementDirector<SiloPlacement, SiloPlacementDirector>();
        return silo;
    }
}
