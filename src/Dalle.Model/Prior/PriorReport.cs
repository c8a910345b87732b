using Dalle.Model.Training;

namespace Dalle.Model.Prior;

/// <summary>Figures of one update of the prior.</summary>
/// <param name="Loss">The weighted loss, in nats per token.</param>
/// <param name="TextLoss">Cross-entropy of the text tokens, in nats per token.</param>
/// <param name="ImageLoss">Cross-entropy of the image tokens, in nats per token.</param>
/// <param name="GradientNorm">The gradient's norm before clipping; not finite if the update was skipped.</param>
/// <param name="LearningRate">Step size of the update.</param>
/// <param name="GradientScales">Figures of the resblocks' gradient scales after it; null where the precision needs none.</param>
public sealed record PriorReport(double Loss, double TextLoss, double ImageLoss, double GradientNorm, double LearningRate, GradientScalesReport? GradientScales = null);
