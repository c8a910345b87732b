using Dalle.Model.Parameters;
using Dalle.Model.Prior;

namespace Dalle.Model.Reranking;

/// <summary>The reranker's parameters: their names in checkpoints, shapes and initial values.</summary>
/// <remarks>Initial values are the prior's (<see cref="TransformerParameters"/>); projections start at a deviation of 1/sqrt(inputs), as CLIP's do.</remarks>
public static class RerankerParameters
{
    /// <summary>Name of the logarithm of what cosines are multiplied by: of 1 over the contrastive temperature.</summary>
    public const string LogScale = "log_scale";

    /// <summary>What the names of the picture encoder's parameters begin with.</summary>
    internal const string Image = "image.";

    /// <summary>What the names of the text encoder's parameters begin with.</summary>
    internal const string Text = "text.";

    /// <summary>Prefixes of the names of an encoder's resblocks, attention and hidden layer of each layer.</summary>
    internal static IEnumerable<string[]> Layers(string encoder, EncoderShape shape) =>
        Enumerable.Range(0, shape.Layers).Select(layer => new[] { $"{encoder}layers.{layer}.attention.", $"{encoder}layers.{layer}.mlp." });

    /// <summary>Every parameter of a reranker of this shape, in the order a forward pass meets them.</summary>
    public static IReadOnlyList<ParameterSpec> Declare(RerankerConfig config) =>
    [
        new("image.patch.weight", ParameterKind.FullPrecisionWeight, 0, 1 / Math.Sqrt(config.PatchLength), config.Image.Width, config.PatchLength),
        new("image.patch.bias", ParameterKind.Bias, 0, 0, config.Image.Width),
        new("image.row", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.GridSize, config.Image.Width),
        new("image.column", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.GridSize, config.Image.Width),
        .. Encoder(Image, config.Image, config.EmbeddingWidth),
        new("text.token", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextVocabulary, config.Text.Width),
        new("text.position", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextLength, config.Text.Width),
        new("text.pad", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextLength, config.Text.Width),
        .. Encoder(Text, config.Text, config.EmbeddingWidth),
        new(LogScale, ParameterKind.Gain, ContrastiveLoss.InitialLogScale, 0, 1),
    ];

    private static IEnumerable<ParameterSpec> Encoder(string prefix, EncoderShape shape, int embeddingWidth) =>
    [
        .. Enumerable.Range(0, shape.Layers).SelectMany(layer => TransformerParameters.OfLayer(shape.Layers, shape.Width, $"{prefix}layers.{layer}.")),
        .. TransformerParameters.Norm(prefix + "norm", shape.Width),
        new(prefix + "projection", ParameterKind.FullPrecisionWeight, 0, 1 / Math.Sqrt(shape.Width), embeddingWidth, shape.Width),
    ];
}
