using Orleans.Concurrency;

namespace Dalle.Contracts.Generation;

/// <summary>Where a session stands. Stored and sent: values are append-only.</summary>
public enum GenerationPhase
{
    NotStarted = 0,
    Running = 1,
    Completed = 2,
    Failed = 3,
    Cancelled = 4,
}

/// <summary>What a session reports of itself.</summary>
[GenerateSerializer, Immutable, Alias("GenerationStatus")]
public sealed record GenerationStatus(
    [property: Id(0)] GenerationPhase Phase, [property: Id(1)] GenerationRequest Request, [property: Id(2)] int RowsSampled, [property: Id(3)] string? Failure);

/// <summary>One generation session, keyed by session id: keeps the request and the tokens sampled so far, and streams what happens.</summary>
public interface IGenerationSessionGrain : IGrainWithStringKey
{
    /// <summary>Starts the request, or goes on with the same one, and streams its events to the end.</summary>
    /// <param name="request">What is asked for; a repeat must be equal.</param>
    /// <param name="after">Sequence number of the last event already seen; 0 for all.</param>
    /// <param name="cancellationToken">Ends the stream. A session that no one reads for some seconds is cancelled; <see cref="Cancel"/> does it at once.</param>
    /// <exception cref="InvalidRequestException">The request is not valid, or the session runs another one.</exception>
    /// <exception cref="NotFoundException">No such model is published.</exception>
    /// <exception cref="OverloadedException">The generators' queue is full.</exception>
    IAsyncEnumerable<GenerationEvent> Generate(GenerationRequest request, long after = 0, CancellationToken cancellationToken = default);

    /// <exception cref="NotFoundException">No such session was started.</exception>
    [ReadOnly]
    Task<GenerationStatus> GetStatus(CancellationToken cancellationToken = default);

    /// <summary>Ends the session, if it is not over; its slots are free within one token.</summary>
    /// <exception cref="NotFoundException">No such session was started.</exception>
    Task Cancel(CancellationToken cancellationToken = default);
}
