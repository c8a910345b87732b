using Orleans.Concurrency;

namespace Dalle.Contracts.Models;

/// <summary>A published model: where its files are and what is known of it. The files are durable before this is stored.</summary>
[GenerateSerializer, Immutable, Alias("ModelManifest")]
public sealed record ModelManifest
{
    /// <summary>Name in the catalog: letters, digits, dot, dash, underscore; at most 64.</summary>
    [Id(0)] public required string Name { get; init; }

    /// <summary>Name of the preset that it was trained by.</summary>
    [Id(1)] public required string Preset { get; init; }

    /// <summary>Folder of its files within the artifact store.</summary>
    [Id(2)] public required string Path { get; init; }

    [Id(3)] public required DateTimeOffset Published { get; init; }

    /// <summary>Height and width of its pictures, in pixels.</summary>
    [Id(4)] public required int ImageSize { get; init; }

    /// <summary>Height and width of its token grid.</summary>
    [Id(5)] public required int GridSize { get; init; }

    /// <summary>Parameters of all its networks.</summary>
    [Id(6)] public required long Parameters { get; init; }

    /// <summary>The job that trained it; null if imported.</summary>
    [Id(7)] public string? JobId { get; init; }

    /// <summary>Figures of its training (psnr, perplexity, imageLoss, ...).</summary>
    [Id(8)] public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();

    /// <summary>Lower-case hexadecimal SHA-256 of each file, by file name.</summary>
    [Id(9)] public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();
}

/// <summary>The published models of the cluster; one catalog, keyed 0.</summary>
public interface IModelCatalogGrain : IGrainWithIntegerKey
{
    /// <summary>Stores a model, in place of an older one of the same name.</summary>
    Task Publish(ModelManifest model, CancellationToken cancellationToken = default);

    /// <exception cref="NotFoundException">No such model is published.</exception>
    [ReadOnly]
    Task<ModelManifest> Get(string name, CancellationToken cancellationToken = default);

    /// <summary>All models, newest first.</summary>
    [ReadOnly]
    Task<IReadOnlyList<ModelManifest>> List(CancellationToken cancellationToken = default);

    /// <summary>Takes a model out of the catalog. Its files are left to the caller.</summary>
    /// <exception cref="NotFoundException">No such model is published.</exception>
    Task Delete(string name, CancellationToken cancellationToken = default);
}
