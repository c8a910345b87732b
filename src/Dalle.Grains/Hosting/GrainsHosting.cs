using Dalle.Contracts.Cluster;
using Dalle.Grains.Cluster;
using Dalle.Grains.Generation;
using Dalle.Grains.Training;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Dalle.Grains.Hosting;

/// <summary>Adds what decides to a silo.</summary>
public static class GrainsHosting
{
    /// <summary>Adds the services of job, catalog and session grains. The silo brings default grain storage, storage <see cref="GenerationStorage.Name"/> and reminders.</summary>
    public static ISiloBuilder AddDalleGrains(this ISiloBuilder silo)
    {
        silo.Services.TryAddSingleton(TimeProvider.System);
        silo.Services.TryAddSingleton<GeneratorDirectory>();
        silo.Services.TryAddSingleton<DeviceDirectory>();
        silo.Services.TryAddSingleton<JobSilos>();
        silo.Services.AddPlacementDirector<SiloPlacement, SiloPlacementDirector>();
        return silo;
    }
}
