using Dalle.Model.Prior;

namespace Dalle.Benchmarks;

/// <summary>The networks that most benchmarks measure.</summary>
internal static class ConfigurationT
{
    /// <summary>d 256, 8 layers, 8 heads, 64 text and 256 image tokens, 4096 and 1024 codes.</summary>
    public static TransformerConfig Prior { get; } = new()
    {
        Layers = 8, Width = 256, Heads = 8, TextLength = 64, TextVocabulary = 4096, GridSize = 16, ImageVocabulary = 1024,
    };
}
