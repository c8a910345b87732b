using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Sampling;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    private const int TinyUpdates = 3_000;

    /// <summary>The quickstart's: trains all stages on two processor cores in minutes.</summary>
    public static Preset Tiny { get; } = new()
    {
        Name = "tiny",
        Summary = "32x32 pixels, for two processor cores and minutes",
        DiscreteVae = new DiscreteVaeConfig
        {
            ImageSize = 32, CodebookSize = 128, GroupWidths = [32, 64, 128], BlocksPerGroup = 1, CodeWidth = 64,
            ResidualGain = 0.5, LogitGain = 4, CodeGain = 8,
        },
        DiscreteVaeTraining = new DiscreteVaeTraining
        {
            // Many small updates: with the same number of pictures, 8 at a time learn far more than 32.
            Updates = TinyUpdates,
            BatchSize = 8,
            LearningRate = new(4e-3, 1e-5, TinyUpdates),
            KlWeight = new(0, 0, 0),
            Tau = new(1, 0.1, TinyUpdates * 8 / 10),

            // A variance that forgets within 100 updates: at the paper's 0.999 and so large a step size a run may break down to a single code within a dozen updates.
            Optimizer = new(0.9, 0.99, 1e-8, 1e-4),
            AverageDecay = 0.99,
            LogScaleFloor = -2,

            // First many codes in use, then as few as do: white ground in dozens of codes would be noise to the prior.
            UsageEntropyWeight = new(0.3, -0.01, TinyUpdates * 6 / 10),
        },
        Transformer = new TransformerConfig
        {
            Layers = 4, Width = 128, Heads = 8, TextLength = 16, TextVocabulary = 512, GridSize = 8, ImageVocabulary = 128, EmbeddingDeviation = 0.3, UnembeddingDeviation = 0.05,
        },
        PriorTraining = new PriorTraining
        {
            Updates = 5_500,
            BatchSize = 8,
            LearningRate = 1e-3,
            WarmUp = 100,

            // Large steps to the end: the average over the last few hundred weights stands in for small ones.
            CosineFloor = 0.5,
            Optimizer = new(0.9, 0.99, 1e-8, 4.5e-2, VarianceClip: 5, GradientClip: 4),

            // Learning which captions there are teaches that held-out pairs never occur: the prior then draws another shape.
            TextLossWeight = 0.01,
            BpeDropout = 0,
            CaptionDropout = 0.1,
            StartFromCodebook = true,
            AverageEvery = 1,
            AverageDecay = 0.997,
            Recompute = false,
        },
        Reranker = new RerankerConfig
        {
            ImageSize = 32, PatchSize = 8, Image = new(2, 64, 4), TextLength = 16, TextVocabulary = 512, Text = new(1, 64, 4), EmbeddingWidth = 64, EmbeddingDeviation = 0.3,
        },

        // Seconds: 13,000 pairs. More pairs to a batch take longer and tell little more apart.
        RerankerTraining = new RerankerTraining { Updates = 400, BatchSize = 32, LearningRate = 2e-3, WarmUp = 40, AverageDecay = 0.98, Recompute = false },
        CompressionRank = 19,
        CompressionWarmUp = 500,
        Sampling = new SamplingSettings(TopP: 0.95, Guidance: 1.5),
    };

    /// <summary>The quickstart's with <c>--full</c>: the same networks, the prior trained for longer.</summary>
    public static Preset TinyFull { get; } = Tiny with
    {
        Name = "tiny-full",
        Summary = "As tiny, with a longer course of the prior",
        PriorTraining = Tiny.PriorTraining with { Updates = 20_000, CosineFloor = 0.05, AverageDecay = 0.99 },
    };
}
