using Dalle.Contracts.Cluster;

namespace Dalle.Grains.Cluster;

/// <summary>The devices of the active silos.</summary>
internal sealed class DeviceDirectory(ISiloStatusOracle membership, IGrainFactory grains, TimeProvider clock)
{
    /// <summary>A silo that is gone, and is not known to be, would keep its caller waiting.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Asks every active silo, side by side.</summary>
    /// <returns>The silos in order of their addresses, with their devices; null for one that did not answer.</returns>
    public async Task<IReadOnlyList<(SiloAddress Silo, DeviceStatus? Device)>> Ask(CancellationToken cancellationToken) =>
        await Task.WhenAll(membership.GetActiveSilos().Order().Select(async silo => (silo, await Ask(silo, cancellationToken))));

    private async Task<DeviceStatus?> Ask(SiloAddress silo, CancellationToken cancellationToken)
    {
        try
        {
            return await grains.GetGrain<IDeviceGrain>(silo.ToParsableString()).GetStatus(cancellationToken).WaitAsync(Patience, clock, cancellationToken);
        }
        catch (Exception error) when (error is TimeoutException or OrleansException)
        {
            return null;
        }
    }
}
