using Dalle.Model.DiscreteVae;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Training;

namespace Dalle.Model.Presets;

public sealed partial record Preset
{
    /// <summary>The paper's model.</summary>
    public static Preset Dalle12B { get; } = Paper("dalle-12b", "The paper's model: 256x256 pixels, 12 billion parameters", width: 3968, rank: 896);

    /// <summary>The paper's second largest model (table of compression ranks).</summary>
    public static Preset Dalle5600M { get; } = Paper("dalle-5.6b", "The paper's 5.6 billion parameters", width: 2688, rank: 640);

    /// <summary>The paper's smallest model (table of compression ranks).</summary>
    public static Preset Dalle2800M { get; } = Paper("dalle-2.8b", "The paper's 2.8 billion parameters", width: 1920, rank: 512);

    // Heads of 64 and 64 layers throughout.
    private static Preset Paper(string name, string summary, int width, int rank) => new()
    {
        Name = name,
        Summary = summary,
        DiscreteVae = new DiscreteVaeConfig(),
        DiscreteVaeTraining = new DiscreteVaeTraining(),
        Transformer = new TransformerConfig { Width = width, Heads = width / 64 },
        PriorTraining = new PriorTraining { Optimizer = new PriorTraining().Optimizer with { Moments = MomentFormat.Paper16 } },
        Reranker = new RerankerConfig(),
        RerankerTraining = new RerankerTraining(),
        CompressionRank = rank,
    };
}
