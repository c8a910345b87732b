using Dalle.Model.Parameters;
using Dalle.Model.Training;

namespace Dalle.Model.DiscreteVae;

/// <summary>How a discrete VAE is trained. The defaults are the paper's (appendix A.2); the aids at the end are off there.</summary>
public sealed record DiscreteVaeTraining
{
    public int Updates { get; init; } = 3_000_000;

    /// <summary>Pictures of one update.</summary>
    public int BatchSize { get; init; } = 512;

    public CosineSchedule LearningRate { get; init; } = new(1e-4, 1.25e-6, 1_200_000);

    /// <summary>Weight of the KL term (beta).</summary>
    public CosineSchedule KlWeight { get; init; } = new(0, 6.6, 5_000);

    /// <summary>Relaxation temperature of the Gumbel-softmax (tau).</summary>
    public CosineSchedule Tau { get; init; } = new(1, 1.0 / 16, 150_000);

    public AdamWConfig Optimizer { get; init; } = new(0.9, 0.999, 1e-8, 1e-4);

    /// <summary>Decay of the exponential moving average of the weights, per update.</summary>
    public double AverageDecay { get; init; } = 0.999;

    public Precision Precision { get; init; } = Precision.BFloat16;

    /// <summary>An aid for short runs: floor under the decoder's ln b, so that flat grounds do not take all the gradient. Null for none.</summary>
    public double? LogScaleFloor { get; init; }

    /// <summary>
    /// An aid for short runs: weight of a bonus on the entropy of the batch's mean code distribution, which brings codes into use. Below 0 it is a price instead:
    /// codes that say the same fall together, and the prior has fewer to tell apart. 0 for none.
    /// </summary>
    public CosineSchedule UsageEntropyWeight { get; init; } = new(0, 0, 0);

    /// <summary>An aid for short runs: updates over which the step size grows linearly to its schedule. 0 for none.</summary>
    public int WarmUp { get; init; }

    /// <summary>The same course in another number of updates: every schedule is stretched with it, and so is the memory of the averaged weights.</summary>
    public DiscreteVaeTraining WithUpdates(int updates)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(updates, 1);
        return this with
        {
            Updates = updates,
            LearningRate = Stretch(LearningRate),
            WarmUp = (int)((long)WarmUp * updates / Updates),
            KlWeight = Stretch(KlWeight),
            Tau = Stretch(Tau),
            UsageEntropyWeight = Stretch(UsageEntropyWeight),
            AverageDecay = Math.Max(0, 1 - ((1 - AverageDecay) * Updates / updates)),
        };

        CosineSchedule Stretch(CosineSchedule schedule) => schedule with { Over = (int)((long)schedule.Over * updates / Updates) };
    }
}
