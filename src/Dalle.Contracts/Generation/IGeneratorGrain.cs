namespace Dalle.Contracts.Generation;

/// <summary>One generation engine on one device: samples the pictures of many requests together.</summary>
public interface IGeneratorGrain : IGrainWithStringKey
{
    /// <summary>Draws a request's pictures. Its events come without numbers; the same request gives the same events in the same order.</summary>
    /// <param name="request">What is asked for, valid.</param>
    /// <param name="given">Tokens of whole rows that were sampled before, one list per candidate, each as long as the others; empty to begin.</param>
    /// <param name="cancellationToken">Frees the request's places within one token.</param>
    /// <exception cref="NotFoundException">No such model is published.</exception>
    /// <exception cref="OverloadedException">The queue is full.</exception>
    IAsyncEnumerable<GenerationEvent> Sample(GenerationRequest request, IReadOnlyList<IReadOnlyList<int>> given, CancellationToken cancellationToken = default);
}
