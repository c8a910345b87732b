namespace Dalle.Model.Sampling;

/// <summary>One picture to sample. The same request gives the same tokens whatever is sampled beside it.</summary>
/// <param name="TextTokens">The caption, without padding.</param>
/// <param name="Seed">Seed of the noise.</param>
/// <param name="Candidate">Which picture of that caption and seed, counted from 0.</param>
/// <param name="Settings">How tokens are drawn.</param>
public sealed record SequenceRequest(IReadOnlyList<int> TextTokens, ulong Seed, int Candidate, SamplingSettings Settings)
{
    /// <summary>A position's entry in <see cref="GivenTokens"/> when it is to be sampled.</summary>
    public const int Free = -1;

    /// <summary>
    /// Image tokens that are fixed, in raster order, <see cref="Free"/> where one is to be sampled; those after the last entry are: what was sampled before an
    /// interruption, or the picture to complete. Default: none.
    /// </summary>
    public IReadOnlyList<int> GivenTokens { get; init; } = [];

    /// <summary>Slots that sampling it takes: a guided sequence is decoded twice, the second time after the blank caption.</summary>
    public int Slots => Settings.IsGuided ? 2 : 1;
}
