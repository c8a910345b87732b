using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    /// <summary>The paper's recipe on one graphics card: a quarter of the pixels, a hundredth of the parameters.</summary>
    public static Preset Small { get; } = new()
    {
        Name = "small",
        Summary = "128x128 pixels, for one graphics card and days",
        DiscreteVae = new DiscreteVaeConfig { ImageSize = 128, CodebookSize = 4096, GroupWidths = [128, 256, 512, 1024] },
        DiscreteVaeTraining = new DiscreteVaeTraining
        {
            Updates = 300_000, BatchSize = 64, LearningRate = new(3e-4, 3e-6, 300_000), KlWeight = new(0, 6.6, 5_000), Tau = new(1, 1.0 / 16, 100_000),
        },
        Transformer = new TransformerConfig { Layers = 24, Width = 768, Heads = 12, TextLength = 128, GridSize = 16, ImageVocabulary = 4096 },
        PriorTraining = new PriorTraining { Updates = 200_000, BatchSize = 128 },
        Reranker = new RerankerConfig { ImageSize = 128, Image = new(12, 384, 6), TextLength = 128, Text = new(8, 256, 4), EmbeddingWidth = 256 },
        RerankerTraining = new RerankerTraining { Updates = 50_000, BatchSize = 512 },
        CompressionRank = 64,
    };
}
