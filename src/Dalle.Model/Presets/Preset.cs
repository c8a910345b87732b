using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;

namespace Dalle.Model.Presets;

/// <summary>A named set of numbers: the two networks' shapes, how each is trained, and how pictures are sampled. All presets run the same code.</summary>
public sealed partial record Preset
{
    public required string Name { get; init; }

    /// <summary>One line for people.</summary>
    public required string Summary { get; init; }

    public required DiscreteVaeConfig DiscreteVae { get; init; }

    public required DiscreteVaeTraining DiscreteVaeTraining { get; init; }

    public required TransformerConfig Transformer { get; init; }

    public required PriorTraining PriorTraining { get; init; }

    public SamplingSettings Sampling { get; init; } = new();

    /// <summary>Entries of the BPE vocabulary the tokenizer is trained to, at most.</summary>
    public int TokenizerVocabulary => Transformer.TextVocabulary;
}
