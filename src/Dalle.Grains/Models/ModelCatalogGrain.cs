using Dalle.Contracts;
using Dalle.Contracts.Models;

namespace Dalle.Grains.Models;

/// <summary>The published models by name.</summary>
[GenerateSerializer, Alias("ModelCatalogState")]
public sealed record ModelCatalogState([property: Id(0)] Dictionary<string, ModelManifest> Models)
{
    public ModelCatalogState()
        : this(new Dictionary<string, ModelManifest>(StringComparer.Ordinal))
    {
    }
}

/// <inheritdoc cref="IModelCatalogGrain"/>
public sealed class ModelCatalogGrain([PersistentState("models")] IPersistentState<ModelCatalogState> catalog) : Grain, IModelCatalogGrain
{
    public Task Publish(ModelManifest model, CancellationToken cancellationToken = default)
    {
        Names.Check(model.Name, nameof(model.Name));
        catalog.State.Models[model.Name] = model;
        return catalog.WriteStateAsync(cancellationToken);
    }

    public Task<ModelManifest> Get(string name, CancellationToken cancellationToken = default) => Task.FromResult(Find(name));

    public Task<IReadOnlyList<ModelManifest>> List(CancellationToken cancellationToken = default) => Task.FromResult<IReadOnlyList<ModelManifest>>(
        [.. catalog.State.Models.Values.OrderByDescending(model => model.Published).ThenBy(model => model.Name, StringComparer.Ordinal)]);

    public Task Delete(string name, CancellationToken cancellationToken = default)
    {
        catalog.State.Models.Remove(Find(name).Name);
        return catalog.WriteStateAsync(cancellationToken);
    }

    private ModelManifest Find(string name) => catalog.State.Models.TryGetValue(name, out var model)
        ? model
        : throw new NotFoundException($"There is no model '{name}'. Published: {(catalog.State.Models.Count == 0 ? "none yet" : string.Join(", ", catalog.State.Models.Keys.Order(StringComparer.Ordinal)))}.");
}
