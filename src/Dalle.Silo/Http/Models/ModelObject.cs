using Dalle.Contracts.Models;

namespace Dalle.Silo.Http.Models;

/// <summary>A published model: OpenAI's shape, then what is known of it here.</summary>
internal sealed record ModelObject
{
    /// <summary>Its name: what requests give as their model.</summary>
    public required string Id { get; init; }

    public string Object { get; init; } = "model";

    /// <summary>When it was published, in seconds since 1970.</summary>
    public required long Created { get; init; }

    public string OwnedBy { get; init; } = "dalle";

    /// <summary>The preset that fixes its networks.</summary>
    public required string Preset { get; init; }

    /// <summary>Width and height of its pictures, in pixels.</summary>
    public required string Size { get; init; }

    /// <summary>Parameters of all its networks.</summary>
    public required long Parameters { get; init; }

    /// <summary>The job that trained it; null if it was imported.</summary>
    public required string? JobId { get; init; }

    /// <summary>Figures of its training.</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    public static ModelObject Of(ModelManifest model) => new()
    {
        Id = model.Name,
        Created = model.Published.ToUnixTimeSeconds(),
        Preset = model.Preset,
        Size = FormattableString.Invariant($"{model.ImageSize}x{model.ImageSize}"),
        Parameters = model.Parameters,
        JobId = model.JobId,
        Metrics = model.Metrics.Where(metric => double.IsFinite(metric.Value)).ToDictionary(),
    };
}
