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
        return Store(new(catalog.State.Models, StringComparer.Ordinal) { [model.Name] = model }, cancellationToken);
    }

    public Task<ModelManifest> Get(string name, CancellationToken cancellationToken = default) => Task.FromResult(Find(name));

    public Task<IReadOnlyList<ModelManifest>> List(CancellationToken cancellationToken = default) => Task.FromResult<IReadOnlyList<ModelManifest>>(
        [.. catalog.State.Models.Values.OrderByDescending(model => model.Published).ThenBy(model => model.Name, StringComparer.Ordinal)]);

    public Task Delete(string name, CancellationToken cancellationToken = default)
    {
        var models = new Dictionary<string, ModelManifest>(catalog.State.Models, StringComparer.Ordinal);
        models.Remove(Find(name).Name);
        return Store(models, cancellationToken);
    }

    /// <summary>Stores the models. If the store refuses, the catalog stays as it was.</summary>
    private async Task Store(Dictionary<string, ModelManifest> models, CancellationToken cancellationToken)
    {
        var before = catalog.State;
        catalog.State = new(models);
        try
        {
            await catalog.WriteStateAsync(cancellationToken);
        }
        catch
        {
            catalog.State = before;
            throw;
        }
    }

    private ModelManifest Find(string name) => catalog.State.Models.TryGetValue(name, out var model)
        ? model
        : throw new NotFoundException($"There is no model '{name}'. Published: {(catalog.State.Models.Count == 0 ? "none yet" : string.Join(", ", catalog.State.Models.Keys.Order(StringComparer.Ordinal)))}.");
}
