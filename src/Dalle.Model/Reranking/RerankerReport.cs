namespace Dalle.Model.Reranking;

/// <summary>What one update of a reranker measured, on its own batch, before its weights changed.</summary>
/// <param name="Loss">The symmetric contrastive loss, in nats; the logarithm of a worker's pairs where nothing is told apart.</param>
/// <param name="Temperature">The contrastive temperature: cosines are divided by it.</param>
/// <param name="LearningRate">Step size.</param>
/// <param name="GradientNorm">The gradient's norm before clipping; not finite if the update was skipped.</param>
public sealed record RerankerReport(double Loss, double Temperature, double LearningRate, double GradientNorm);

/// <summary>What the averaged weights do on held-out pairs, a batch at a time.</summary>
/// <param name="Loss">The symmetric contrastive loss, in nats, the mean over the batches' pairs.</param>
/// <param name="Accuracy">How often pictures and captions find each other.</param>
public sealed record RerankerEvaluation(double Loss, RetrievalAccuracy Accuracy);
