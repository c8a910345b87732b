using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Sampling;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    private const int EmojiUpdates = 5_000;

    /// <summary>Small pictures of real artwork: trains on two processor cores in an hour or two.</summary>
    public static Preset Emoji { get; } = new()
    {
        Name = "emoji",
        Summary = "64x64 pixels, for two processor cores and an hour or more",
        DiscreteVae = new DiscreteVaeConfig
        {
            ImageSize = 64, CodebookSize = 1024, GroupWidths = [48, 96, 192], BlocksPerGroup = 1, CodeWidth = 64,
            ResidualGain = 0.5, LogitGain = 4, CodeGain = 16,
        },
        DiscreteVaeTraining = new DiscreteVaeTraining
        {
            // Many small updates, as for tiny.
            Updates = EmojiUpdates,
            BatchSize = 8,
            LearningRate = new(4e-3, 1e-5, EmojiUpdates),
            KlWeight = new(0, 0, 0),
            Tau = new(1, 0.1, EmojiUpdates * 8 / 10),
            Optimizer = new(0.9, 0.99, 1e-8, 1e-4),
            AverageDecay = 0.996,
            LogScaleFloor = -2,
            UsageEntropyWeight = new(0.3, 0, EmojiUpdates * 6 / 10),
        },
        Transformer = new TransformerConfig
        {
            Layers = 8, Width = 256, Heads = 8, TextLength = 64, TextVocabulary = 4096, GridSize = 16, ImageVocabulary = 1024, EmbeddingDeviation = 0.3, UnembeddingDeviation = 0.05,
        },
        PriorTraining = new PriorTraining
        {
            Updates = 2_500,
            BatchSize = 8,
            LearningRate = 1e-3,
            WarmUp = 100,
            CosineFloor = 0.05,
            Optimizer = new(0.9, 0.99, 1e-8, 4.5e-2, VarianceClip: 5, GradientClip: 4),

            // Some 3,600 pictures with several captions each: the text would be learnt by heart long before the pictures.
            TextLossWeight = 0.05,
            CaptionDropout = 0.1,
            StartFromCodebook = true,
            AverageEvery = 1,
            AverageDecay = 0.99,
            Recompute = false,
        },
        Reranker = new RerankerConfig
        {
            ImageSize = 64, PatchSize = 8, Image = new(4, 128, 4), TextLength = 64, TextVocabulary = 4096, Text = new(4, 128, 4), EmbeddingWidth = 128, EmbeddingDeviation = 0.3,
        },
        RerankerTraining = new RerankerTraining { Updates = 1_000, BatchSize = 64, LearningRate = 1e-3, WarmUp = 50, AverageDecay = 0.99, Recompute = false },
        CompressionRank = 24,
        Sampling = new SamplingSettings(TopP: 0.95, Guidance: 1.5),
    };
}
