namespace Dalle.Model.Prior;

/// <summary>What is known of a worker's gradients besides themselves.</summary>
/// <param name="Losses">What the worker's rows add to the losses of the whole batch.</param>
/// <param name="Finite">For each resblock, in the order of a forward pass, whether all its parameters' gradients are finite; null where the precision needs no gradient scales.</param>
public sealed record PriorGradients(PriorLosses Losses, IReadOnlyList<bool>? Finite);
