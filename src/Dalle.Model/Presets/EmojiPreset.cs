using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    private const int EmojiUpdates = 10_000;

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
            Updates = EmojiUpdates,
            BatchSize = 16,
            LearningRate = new(2e-3, 1e-5, EmojiUpdates),
            KlWeight = new(0, 0, 0),
            Tau = new(1, 0.1, EmojiUpdates * 8 / 10),
            AverageDecay = 0.998,
            LogScaleFloor = -2,
            UsageEntropyWeight = new(0.3, 0.3, 0),
        },
        Transformer = new TransformerConfig { Layers = 8, Width = 256, Heads = 8, TextLength = 64, TextVocabulary = 4096, GridSize = 16, ImageVocabulary = 1024 },
        PriorTraining = new PriorTraining { Updates = 6_000, BatchSize = 16, LearningRate = 6e-4, WarmUp = 200, CosineFloor = 0.05, Recompute = false },
    };
}
