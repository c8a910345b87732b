using Dalle.Model.Parameters;
using Dalle.Model.Training;

namespace Dalle.Model.Prior;

/// <summary>How the prior is trained. The defaults are the paper's (appendix B.2).</summary>
public sealed record PriorTraining
{
    public int Updates { get; init; } = 430_000;

    /// <summary>Caption-picture pairs of one update.</summary>
    public int BatchSize { get; init; } = 1024;

    /// <summary>Step size after warm-up.</summary>
    public double LearningRate { get; init; } = 4.5e-4;

    /// <summary>Updates over which the step size grows linearly from 0.</summary>
    public int WarmUp { get; init; } = 5_000;

    /// <summary>When the step size is halved.</summary>
    public PlateauSchedule Plateau { get; init; } = new(Halvings: 5);

    /// <summary>An aid for short runs: a cosine from the full step size to this share of it at the last update, in place of halving on plateau. Null for none.</summary>
    public double? CosineFloor { get; init; }

    /// <summary>The optimiser. The paper's moments have 16 bits, which only its own presets take: small networks have no need of them.</summary>
    public AdamWConfig Optimizer { get; init; } = new(0.9, 0.96, 1e-8, 4.5e-2, VarianceClip: 5, GradientClip: 4);

    /// <summary>Weight of the text cross-entropy; the image's is the rest to 1.</summary>
    public double TextLossWeight { get; init; } = 1.0 / 8;

    /// <summary>Updates from one step of the moving average of the weights to the next.</summary>
    public int AverageEvery { get; init; } = 25;

    /// <summary>Decay of the moving average, per step of it.</summary>
    public double AverageDecay { get; init; } = 0.99;

    /// <summary>Probability that a BPE merge is left out while training.</summary>
    public double BpeDropout { get; init; } = 0.1;

    /// <summary>Share of captions blanked while training, which classifier-free guidance needs. 0 for none.</summary>
    public double CaptionDropout { get; init; }

    /// <summary>
    /// An aid for short runs: image tokens start as random projections of the discrete VAE's codebook, so that codes which draw alike are alike from the start. What a
    /// token is used for, of which short runs see little, then carries over to tokens that look like it: to shapes in colours they were never seen in.
    /// </summary>
    public bool StartFromCodebook { get; init; }

    /// <summary>Whether activations inside resblocks are computed again in the backward pass instead of kept.</summary>
    public bool Recompute { get; init; } = true;

    public Precision Precision { get; init; } = Precision.BFloat16;
}
