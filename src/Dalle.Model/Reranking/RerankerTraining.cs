using Dalle.Model.Parameters;
using Dalle.Model.Training;

namespace Dalle.Model.Reranking;

/// <summary>How a reranker is trained. The defaults are CLIP's (Radford et al., 2021, table 18), but for the moving average of the weights, which CLIP has none of.</summary>
public sealed record RerankerTraining
{
    /// <summary>Updates; 32 passes over 400 million pairs.</summary>
    public int Updates { get; init; } = 390_000;

    /// <summary>Caption-picture pairs of one update. Each worker tells its own rows of them apart: a pair's negatives are the other pairs of its worker.</summary>
    public int BatchSize { get; init; } = 32_768;

    /// <summary>Step size after warm-up, from which it falls along a half cosine to 0 at the last update.</summary>
    public double LearningRate { get; init; } = 5e-4;

    /// <summary>Updates over which the step size grows linearly from 0.</summary>
    public int WarmUp { get; init; } = 2_000;

    public AdamWConfig Optimizer { get; init; } = new(0.9, 0.98, 1e-6, 0.2);

    /// <summary>Decay of the exponential moving average of the weights, per update.</summary>
    public double AverageDecay { get; init; } = 0.999;

    /// <summary>Whether activations inside resblocks are computed again in the backward pass instead of kept.</summary>
    public bool Recompute { get; init; } = true;

    public Precision Precision { get; init; } = Precision.BFloat16;

    /// <summary>The same course in another number of updates: warm-up and the memory of the averaged weights are stretched with it.</summary>
    public RerankerTraining WithUpdates(int updates)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(updates, 1);
        return this with
        {
            Updates = updates,
            WarmUp = (int)((long)WarmUp * updates / Updates),
            AverageDecay = Math.Max(0, 1 - ((1 - AverageDecay) * Updates / updates)),
        };
    }

    /// <summary>Checks that there is something to learn from.</summary>
    /// <exception cref="ArgumentException">There is not; the message names the number.</exception>
    public void Validate()
    {
        if (Updates < 1 || BatchSize < 2)
        {
            throw new ArgumentException($"Expected at least 1 update of the reranker, and batches of at least 2 pairs to tell apart; got {Updates} of {BatchSize}.");
        }
    }
}
