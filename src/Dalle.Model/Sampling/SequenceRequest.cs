namespace Dalle.Model.Sampling;

/// <summary>One picture to sample. The same request gives the same tokens whatever is sampled beside it.</summary>
/// <param name="TextTokens">The caption, without padding.</param>
/// <param name="Seed">Seed of the noise.</param>
/// <param name="Candidate">Which picture of that caption and seed, counted from 0.</param>
/// <param name="Settings">How tokens are drawn.</param>
public sealed record SequenceRequest(IReadOnlyList<int> TextTokens, ulong Seed, int Candidate, SamplingSettings Settings)
{
    /// <summary>Image tokens that are fixed, from the first on: what was sampled before an interruption, or a picture to complete. Default: none.</summary>
    public IReadOnlyList<int> GivenTokens { get; init; } = [];
}
