using Dalle.Contracts.Generation;

namespace Dalle.Grains.Generation;

/// <summary>Where generators are: one on every active silo, the caller's own first.</summary>
internal sealed class GeneratorDirectory(ISiloStatusOracle membership, IGrainFactory grains)
{
    /// <summary>The generators of the active silos, the nearest first.</summary>
    public IReadOnlyList<IGeneratorGrain> List() =>
    [
        .. membership.GetActiveSilos()
            .OrderBy(silo => silo.Equals(membership.SiloAddress) ? 0 : 1)
            .ThenBy(silo => silo)
            .Select(silo => grains.GetGrain<IGeneratorGrain>(silo.ToParsableString())),
    ];
}
