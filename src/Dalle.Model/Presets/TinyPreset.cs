using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    private const int TinyUpdates = 5_000;

    /// <summary>The quickstart's: trains both stages on two processor cores in minutes.</summary>
    public static Preset Tiny { get; } = new()
    {
        Name = "tiny",
        Summary = "32x32 pixels, for two processor cores and minutes",
        DiscreteVae = new DiscreteVaeConfig
        {
            ImageSize = 32, CodebookSize = 256, GroupWidths = [32, 64, 128], BlocksPerGroup = 1, CodeWidth = 64,
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
            AverageDecay = 0.99,
            LogScaleFloor = -2,
            UsageEntropyWeight = 0.1,
        },
        Transformer = new TransformerConfig { Layers = 3, Width = 256, Heads = 8, TextLength = 24, TextVocabulary = 512, GridSize = 8, ImageVocabulary = 256 },
        PriorTraining = new PriorTraining
        {
            Updates = 4_500,
            BatchSize = 16,
            LearningRate = 1e-3,
            WarmUp = 100,
            CosineFloor = 0.05,

            // Learning which captions there are teaches that held-out pairs never occur: the prior then draws another shape.
            TextLossWeight = 0.01,
            BpeDropout = 0,
            AverageEvery = 1,
            Recompute = false,
        },
        Sampling = new SamplingSettings(TopP: 0.9),
    };

    /// <summary>The quickstart's with <c>--full</c>: the same networks for longer.</summary>
    public static Preset TinyFull { get; } = Tiny with
    {
        Name = "tiny-full",
        Summary = "As tiny, for half an hour",
        DiscreteVaeTraining = Tiny.DiscreteVaeTraining.WithUpdates(3 * TinyUpdates),
        PriorTraining = Tiny.PriorTraining with { Updates = 24_000 },
    };
}
