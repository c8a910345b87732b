using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Sampling;

namespace Dalle.Workers.Models;

/// <summary>What a published model is built from besides its weights, many of which would fit other numbers just as well. Its preset's, as they were when it was trained.</summary>
public sealed record ModelConfig
{
    public required DiscreteVaeConfig DiscreteVae { get; init; }

    public required TransformerConfig Transformer { get; init; }

    /// <summary>The reranker's shape; null where the model has none, as on cards written before there were any.</summary>
    public RerankerConfig? Reranker { get; init; }

    /// <summary>What the prior is sampled in.</summary>
    public required Precision Precision { get; init; }

    /// <summary>How tokens are drawn where a request does not say.</summary>
    public required SamplingSettings Sampling { get; init; }

    /// <summary>The numbers of a preset, without a reranker: whether there is one is the job's choice.</summary>
    public static ModelConfig Of(Preset preset) => new()
    {
        DiscreteVae = preset.DiscreteVae, Transformer = preset.Transformer, Precision = preset.PriorTraining.Precision, Sampling = preset.Sampling,
    };
}

/// <summary>What the files of a published model do not say of themselves.</summary>
internal sealed record ModelCard
{
    public required string Name { get; init; }

    /// <summary>Name of the preset that it was trained by.</summary>
    public required string Preset { get; init; }

    public required string? JobId { get; init; }

    /// <summary>Figures of its training.</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    /// <summary>What it is built from; null on cards written before they said so.</summary>
    public ModelConfig? Config { get; init; }
}
