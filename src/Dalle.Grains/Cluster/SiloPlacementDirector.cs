using Orleans.Runtime.Placement;

namespace Dalle.Grains.Cluster;

/// <summary>Places a grain on the silo that its key names: the whole key, or what follows its last slash.</summary>
internal sealed class SiloPlacementDirector : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var key = target.GrainIdentity.Key.ToString() ?? "";
        key = key[(key.LastIndexOf('/') + 1)..];
        return context.GetCompatibleSilos(target).FirstOrDefault(silo => silo.ToParsableString() == key) is { } silo
            ? Task.FromResult(silo)
            : throw new SiloUnavailableException($"Silo '{key}', which grain {target.GrainIdentity} belongs to, has left the cluster.");
    }
}
