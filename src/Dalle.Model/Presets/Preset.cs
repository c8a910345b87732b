using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Sampling;

namespace Dalle.Model.Presets;

/// <summary>A named set of numbers: the networks' shapes, how each is trained, and how pictures are sampled. All presets run the same code.</summary>
public sealed partial record Preset
{
    public required string Name { get; init; }

    /// <summary>One line for people.</summary>
    public required string Summary { get; init; }

    public required DiscreteVaeConfig DiscreteVae { get; init; }

    public required DiscreteVaeTraining DiscreteVaeTraining { get; init; }

    public required TransformerConfig Transformer { get; init; }

    public required PriorTraining PriorTraining { get; init; }

    /// <summary>The reranker's shape; null where there is none, as in jobs of versions that had none.</summary>
    public RerankerConfig? Reranker { get; init; }

    /// <summary>How the reranker is trained; null where there is none.</summary>
    public RerankerTraining? RerankerTraining { get; init; }

    /// <summary>Rank that PowerSGD compresses the prior's gradients to between replicas (paper, table of compression ranks). 0 for no compression.</summary>
    public int CompressionRank { get; init; }

    /// <summary>An aid for short runs: updates of the prior before the first whose gradients are compressed. 0, as in the paper, for none.</summary>
    public int CompressionWarmUp { get; init; }

    public SamplingSettings Sampling { get; init; } = new();

    /// <summary>Entries of the BPE vocabulary the tokenizer is trained to, at most.</summary>
    public int TokenizerVocabulary => Transformer.TextVocabulary;

    /// <summary>Every preset, the quickstart's first, the largest last.</summary>
    public static IReadOnlyList<Preset> All => [Tiny, TinyFull, Test, Emoji, Small, Dalle2800M, Dalle5600M, Dalle12B];

    /// <summary>The preset of a name, in any case.</summary>
    /// <exception cref="ArgumentException">There is none; the message lists those there are.</exception>
    public static Preset Find(string name) => All.FirstOrDefault(preset => string.Equals(preset.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"There is no preset '{name}'. There are: {string.Join(", ", All.Select(preset => preset.Name))}.", nameof(name));

    /// <summary>Checks that the networks fit each other and that each holds together.</summary>
    /// <exception cref="ArgumentException">They do not; the message names the numbers.</exception>
    public void Validate()
    {
        DiscreteVae.Validate();
        Transformer.Validate();
        if (CompressionRank < 0)
        {
            throw new ArgumentException($"Preset '{Name}': expected a compression rank of at least 0, got {CompressionRank}.");
        }

        if (CompressionWarmUp < 0)
        {
            throw new ArgumentException($"Preset '{Name}': expected at least 0 updates before compressed ones, got {CompressionWarmUp}.");
        }

        if (Transformer.GridSize != DiscreteVae.GridSize || Transformer.ImageVocabulary != DiscreteVae.CodebookSize)
        {
            throw new ArgumentException(
                $"Preset '{Name}': the prior expects {Transformer.GridSize}x{Transformer.GridSize} tokens of {Transformer.ImageVocabulary} codes, "
                + $"the discrete VAE gives {DiscreteVae.GridSize}x{DiscreteVae.GridSize} of {DiscreteVae.CodebookSize}.");
        }

        ValidateReranker();
    }

    // It scores what the two others make: pictures of the discrete VAE for captions of the prior's tokenizer.
    private void ValidateReranker()
    {
        Reranker?.Validate();
        RerankerTraining?.Validate();
        if (Reranker is null != RerankerTraining is null)
        {
            throw new ArgumentException($"Preset '{Name}': expected a reranker's shape and training, or neither, got {(Reranker is null ? "training" : "a shape")} alone.");
        }

        if (Reranker is { } reranker && (reranker.ImageSize, reranker.TextLength, reranker.TextVocabulary) != (DiscreteVae.ImageSize, Transformer.TextLength, Transformer.TextVocabulary))
        {
            throw new ArgumentException(
                $"Preset '{Name}': the reranker expects pictures of {reranker.ImageSize} pixels and {reranker.TextLength} text tokens of {reranker.TextVocabulary}, "
                + $"the other networks have {DiscreteVae.ImageSize}, {Transformer.TextLength} and {Transformer.TextVocabulary}.");
        }
    }
}
