using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dalle.Silo.Http;

/// <summary>Ready: an active member of the cluster whose storage answers.</summary>
internal sealed class SiloHealthCheck(ISiloStatusOracle membership, IMembershipTable table) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (membership.CurrentStatus != SiloStatus.Active)
        {
            return HealthCheckResult.Unhealthy($"The silo is {membership.CurrentStatus}.");
        }

        await table.ReadRowAsync(membership.SiloAddress, cancellationToken);
        return HealthCheckResult.Healthy();
    }
}
