namespace Dalle.Model.DiscreteVae;

/// <summary>
/// What a worker's rows add to the figures of the whole batch: those are the sum over all workers. What looks at a batch as a whole is each worker's own, weighted by its share of the rows.
/// </summary>
/// <param name="Loss">Added to the loss, nats per sub-pixel.</param>
/// <param name="Reconstruction">Added to the negative log likelihood, nats per sub-pixel.</param>
/// <param name="Kl">Added to the KL to the uniform distribution, nats per sub-pixel.</param>
/// <param name="Perplexity">exp of the entropy of the most likely codes of the worker's rows, weighted by its share: the sum is the workers' mean.</param>
public readonly record struct DiscreteVaeFigures(double Loss, double Reconstruction, double Kl, double Perplexity)
{
    /// <summary>The figures of both.</summary>
    public static DiscreteVaeFigures operator +(DiscreteVaeFigures a, DiscreteVaeFigures b) =>
        new(a.Loss + b.Loss, a.Reconstruction + b.Reconstruction, a.Kl + b.Kl, a.Perplexity + b.Perplexity);
}
