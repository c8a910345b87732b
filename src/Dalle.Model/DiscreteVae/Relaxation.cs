using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>
/// The codebook lookup of one update, relaxed by Gumbel-softmax, with the two terms of the loss that look at the encoder's distribution alone: KL to the uniform
/// distribution and, as an aid, the entropy of the batch's mean distribution. At K codes a token these arrays are the largest of an update, so the gradient is
/// written out: far fewer passes over memory than automatic differentiation takes.
/// </summary>
/// <remarks>Lives in the dispose scope of its update. Call <see cref="LogitGradient"/> once: it works in place.</remarks>
internal sealed class Relaxation
{
    // Under any usage that matters, above 0: a code that no token may take has a probability of 0, and 0 times ln 0 is no number.
    private const double LeastUsage = 1e-30;

    private readonly double _tau;
    private readonly double _klScale;
    private readonly double _usageScale;
    private readonly Tensor _logProbabilities_NK;
    private readonly Tensor _probabilities_NK;
    private readonly Tensor _usage_K;

    /// <param name="logits_NK">The encoder's logits, outside of automatic differentiation.</param>
    /// <param name="noise_NK">Standard Gumbel noise; overwritten.</param>
    /// <param name="tau">Relaxation temperature.</param>
    /// <param name="klScale">The loss's derivative by the KL of one token, in nats.</param>
    /// <param name="usageWeight">Weight of the bonus on the entropy of the mean distribution; below 0 it is a price.</param>
    public Relaxation(Tensor logits_NK, Tensor noise_NK, double tau, double klScale, double usageWeight)
    {
        (_tau, _klScale, _usageScale) = (tau, klScale, usageWeight / logits_NK.shape[0]);
        _logProbabilities_NK = logits_NK.log_softmax(1);
        _probabilities_NK = _logProbabilities_NK.exp();
        _usage_K = _probabilities_NK.mean([0]);
        Codes_NK = noise_NK.add_(logits_NK, One).mul_(Number(1 / tau)).softmax(1);
    }

    /// <summary>The relaxed codes; rows sum to 1.</summary>
    public Tensor Codes_NK { get; }

    /// <summary>KL to the uniform distribution in nats, summed over all tokens: a scalar.</summary>
    public Tensor TotalKl() => _probabilities_NK.flatten().dot(_logProbabilities_NK.flatten()).add(Number(_probabilities_NK.shape[0] * Math.Log(_usage_K.shape[0])), One);

    /// <summary>Entropy of the mean distribution, in nats: a scalar.</summary>
    public Tensor UsageEntropy() => special.entr(_usage_K).sum();

    /// <summary>The loss's gradient by the logits, given that by the relaxed codes (overwritten): through the relaxation, plus that of the two terms.</summary>
    public Tensor LogitGradient(Tensor codeGradient_NK)
    {
        // Jacobian of softmax: dl = z * (dz - sum(z * dz)).
        codeGradient_NK.mul_(Codes_NK);
        var gradient = codeGradient_NK.addcmul_(Codes_NK, codeGradient_NK.sum(1, keepdim: true), Number(-1)).mul_(Number(1 / _tau));
        if (_klScale != 0 || _usageScale != 0)
        {
            var termGradient = _logProbabilities_NK.mul_(Number(_klScale)).add_(_usage_K.clamp_min(Number(LeastUsage)).log(), Number(_usageScale)).mul_(_probabilities_NK);
            gradient.add_(termGradient, One).addcmul_(_probabilities_NK, termGradient.sum(1, keepdim: true), Number(-1));
        }

        return gradient;
    }
}
