using Dalle.Silo.Http.Access;
using Dalle.Workers.Generation;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dalle.Silo.Http;

/// <summary>Ready: an active member of the cluster whose storage answers, which knows the API keys and is not about to load its first model.</summary>
internal sealed class SiloHealthCheck(ISiloStatusOracle membership, IMembershipTable table, KeyRing keys, GeneratorReadiness generator) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (membership.CurrentStatus != SiloStatus.Active)
        {
            return HealthCheckResult.Unhealthy($"The silo is {membership.CurrentStatus}.");
        }

        if (!keys.IsKnown)
        {
            return HealthCheckResult.Unhealthy("The cluster's API keys have not been read yet.");
        }

        if (generator.IsLoading)
        {
            return HealthCheckResult.Unhealthy("The silo is loading a model.");
        }

        await table.ReadRowAsync(membership.SiloAddress, cancellationToken);
        return HealthCheckResult.Healthy();
    }
}
