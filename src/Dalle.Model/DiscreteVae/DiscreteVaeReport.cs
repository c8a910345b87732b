namespace Dalle.Model.DiscreteVae;

/// <summary>What one update of a discrete VAE measured, on its own batch, before its weights changed.</summary>
/// <param name="Loss">The loss: reconstruction + KlWeight * Kl, less the aids' bonus; nats per sub-pixel.</param>
/// <param name="Reconstruction">Negative log likelihood, nats per sub-pixel.</param>
/// <param name="Kl">KL of the encoder's distribution to the uniform one, nats per sub-pixel.</param>
/// <param name="KlWeight">Weight of the KL term (beta).</param>
/// <param name="Tau">Relaxation temperature.</param>
/// <param name="LearningRate">Step size.</param>
/// <param name="Perplexity">exp of the entropy of the most likely codes of the batch, from 1 to K; where several workers share it, the mean of theirs.</param>
/// <param name="GradientNorm">Norm of the gradient; not finite if the update was skipped for it.</param>
public sealed record DiscreteVaeReport(
    double Loss, double Reconstruction, double Kl, double KlWeight, double Tau, double LearningRate, double Perplexity, double GradientNorm);

/// <summary>What the averaged weights do to held-out pictures through hard codes (the most likely one per token).</summary>
/// <param name="Psnr">Peak signal to noise ratio of the reconstructions in dB, from the mean squared error of all pictures.</param>
/// <param name="Perplexity">exp of the entropy of the codes used.</param>
/// <param name="CodesInUse">Codes used at least once.</param>
public sealed record DiscreteVaeEvaluation(double Psnr, double Perplexity, int CodesInUse);
