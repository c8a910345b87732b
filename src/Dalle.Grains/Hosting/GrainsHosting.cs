using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Dalle.Grains.Hosting;

/// <summary>Adds what decides to a silo.</summary>
public static class GrainsHosting
{
    /// <summary>Adds the services of job, catalog and session grains. The silo brings default grain storage and reminders.</summary>
    public static ISiloBuilder AddDalleGrains(this ISiloBuilder silo)
    {
        silo.Services.TryAddSingleton(TimeProvider.System);
        return silo;
    }
}
