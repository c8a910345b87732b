using System.ComponentModel;
using Dalle.Contracts.Models;

namespace Dalle.Silo.Http.Models;

/// <summary>A published model: OpenAI's shape, then what is known of it here.</summary>
internal sealed record ModelObject
{
    [Description("Its name: what requests give as their model.")]
    public required string Id { get; init; }

    public string Object { get; } = "model";

    [Description("When it was published, in seconds since 1970.")]
    public required long Created { get; init; }

    public string OwnedBy { get; } = "dalle";

    [Description("The preset that fixes its networks.")]
    public required string Preset { get; init; }

    [Description("Width and height of its pictures, in pixels.")]
    public required string Size { get; init; }

    [Description("Parameters of both networks.")]
    public required long Parameters { get; init; }

    [Description("The job that trained it; null if it was imported.")]
    public required string? JobId { get; init; }

    [Description("Figures of its training.")]
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    public static ModelObject Of(ModelManifest model) => new()
    {
        Id = model.Name,
        Created = model.Published.ToUnixTimeSeconds(),
        Preset = model.Preset,
        Size = Images.ImageSize.Of(model),
        Parameters = model.Parameters,
        JobId = model.JobId,
        Metrics = model.Metrics.Where(metric => double.IsFinite(metric.Value)).ToDictionary(),
    };
}
