using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    /// <summary>Trains in seconds and learns next to nothing: for tests of everything around the networks.</summary>
    public static Preset Test { get; } = new()
    {
        Name = "test",
        Summary = "32x32 pixels, for tests: seconds, and no pictures to speak of",
        DiscreteVae = new DiscreteVaeConfig { ImageSize = 32, CodebookSize = 32, GroupWidths = [8, 16, 16, 32], BlocksPerGroup = 1, CodeWidth = 16 },
        DiscreteVaeTraining = new DiscreteVaeTraining
        {
            Updates = 200,
            BatchSize = 8,
            LearningRate = new(3e-3, 3e-4, 200),
            KlWeight = new(0, 0, 0),
            Tau = new(1, 0.2, 150),
            AverageDecay = 0.95,
            LogScaleFloor = -2,
            UsageEntropyWeight = new(0.05, 0.05, 0),
        },
        Transformer = new TransformerConfig { Layers = 4, Width = 32, Heads = 2, TextLength = 16, TextVocabulary = 512, GridSize = 4, ImageVocabulary = 32, ConvolutionKernel = 3 },
        PriorTraining = new PriorTraining { Updates = 200, BatchSize = 8, LearningRate = 3e-3, WarmUp = 10, CosineFloor = 0.1, AverageEvery = 1, AverageDecay = 0.95, Recompute = false },
        Reranker = new RerankerConfig
        {
            ImageSize = 32, PatchSize = 8, Image = new(2, 32, 2), TextLength = 16, TextVocabulary = 512, Text = new(1, 32, 2), EmbeddingWidth = 32, EmbeddingDeviation = 0.3,
        },
        RerankerTraining = new RerankerTraining { Updates = 40, BatchSize = 16, LearningRate = 3e-3, WarmUp = 5, AverageDecay = 0.9, Recompute = false },
        CompressionRank = 2,
    };
}
