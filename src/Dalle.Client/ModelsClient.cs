using Dalle.Contracts.Models;

namespace Dalle.Client;

/// <summary>Published models, as an application sees them.</summary>
public sealed class ModelsClient
{
    private readonly IGrainFactory _grains;
    private readonly ClusterCalls _calls;

    internal ModelsClient(IGrainFactory grains, ClusterCalls calls) => (_grains, _calls) = (grains, calls);

    private IModelCatalogGrain Catalog => _grains.GetGrain<IModelCatalogGrain>(0);

    /// <summary>All models, newest first.</summary>
    public Task<IReadOnlyList<ModelManifest>> List(CancellationToken cancellationToken = default) => _calls.Ask("Listing models", Catalog.List, cancellationToken);

    /// <exception cref="Contracts.NotFoundException">No such model is published.</exception>
    public Task<ModelManifest> Get(string name, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Model '{name}'", token => Catalog.Get(name, token), cancellationToken);

    /// <summary>Enters a model whose files are in the cluster's artifact store, in place of an older one of the same name.</summary>
    public Task Publish(ModelManifest model, CancellationToken cancellationToken = default) =>
        _calls.Ask("Publishing a model", token => Catalog.Publish(model, token), cancellationToken);

    /// <summary>Takes a model out of the catalog; its files stay.</summary>
    /// <exception cref="Contracts.NotFoundException">No such model is published.</exception>
    public Task Delete(string name, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Deleting model '{name}'", token => Catalog.Delete(name, token), cancellationToken);
}
