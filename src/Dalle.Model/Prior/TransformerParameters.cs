using Dalle.Model.Parameters;

namespace Dalle.Model.Prior;

/// <summary>The prior's parameters: their names in checkpoints, shapes and initial values.</summary>
/// <remarks>
/// The paper gives no initialisation. Here matrices start at a deviation of 1/sqrt(inputs), which for its width is the customary 0.02 or less, those
/// that end a residual branch are divided by sqrt(2 * layers), and embeddings and unembeddings start at 0.02 unless the shape says otherwise.
/// </remarks>
public static class TransformerParameters
{
    /// <summary>Prefix of the names of a layer's parameters.</summary>
    public static string Layer(int layer) => $"layers.{layer}.";

    /// <summary>Prefixes of the names of the resblocks' parameters, in the order a forward pass meets them: attention and hidden layer of each layer.</summary>
    public static IReadOnlyList<string> Resblocks(TransformerConfig config) =>
        [.. Enumerable.Range(0, config.Layers).SelectMany(layer => (string[])[Layer(layer) + "attention.", Layer(layer) + "mlp."])];

    /// <summary>The parameters of one resblock, named by what follows its prefix.</summary>
    /// <param name="config">The network's shape.</param>
    /// <param name="resblock">Its prefix.</param>
    public static IReadOnlyList<ParameterSpec> OfResblock(TransformerConfig config, string resblock) =>
        [.. Declare(config).Where(spec => spec.Name.StartsWith(resblock, StringComparison.Ordinal)).Select(spec => spec with { Name = spec.Name[resblock.Length..] })];

    /// <summary>Every parameter of a transformer of this shape, in the order a forward pass meets them.</summary>
    public static IReadOnlyList<ParameterSpec> Declare(TransformerConfig config) =>
    [
        new("text.token", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextVocabulary, config.Width),
        new("text.position", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextLength, config.Width),
        new("text.pad", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.TextLength, config.Width),
        new("image.token", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.ImageVocabulary, config.Width),
        new("image.row", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.GridSize, config.Width),
        new("image.column", ParameterKind.Embedding, 0, config.EmbeddingDeviation, config.GridSize, config.Width),
        .. Enumerable.Range(0, config.Layers).SelectMany(layer => OfLayer(config.Layers, config.Width, Layer(layer))),
        .. Norm("norm", config.Width),
        new("text.unembedding", ParameterKind.FullPrecisionWeight, 0, config.UnembeddingDeviation, config.TextVocabulary, config.Width),
        new("image.unembedding", ParameterKind.FullPrecisionWeight, 0, config.UnembeddingDeviation, config.ImageVocabulary, config.Width),
    ];

    /// <summary>The parameters of a layer of any stack of the same resblocks.</summary>
    /// <param name="layers">Layers of the stack.</param>
    /// <param name="width">Its width.</param>
    /// <param name="prefix">What their names begin with.</param>
    internal static IEnumerable<ParameterSpec> OfLayer(int layers, int width, string prefix)
    {
        var residual = 1 / Math.Sqrt(2.0 * layers);
        return
        [
            .. Norm(prefix + "attention.norm", width),
            .. Linear(prefix + "attention.qkv", width, 3 * width, 1),
            .. Linear(prefix + "attention.output", width, width, residual),
            .. Norm(prefix + "mlp.norm", width),
            .. Linear(prefix + "mlp.up", width, 4 * width, 1),
            .. Linear(prefix + "mlp.down", 4 * width, width, residual),
        ];
    }

    /// <summary>Gain and bias of a layer normalisation.</summary>
    internal static IEnumerable<ParameterSpec> Norm(string name, int width) =>
    [
        new(name + ".gain", ParameterKind.Gain, 1, 0, width),
        new(name + ".bias", ParameterKind.Bias, 0, 0, width),
    ];

    private static IEnumerable<ParameterSpec> Linear(string name, int inputs, int outputs, double scale) =>
    [
        new(name + ".weight", ParameterKind.Weight, 0, scale / Math.Sqrt(inputs), outputs, inputs),
        new(name + ".bias", ParameterKind.Bias, 0, 0, outputs),
    ];
}
