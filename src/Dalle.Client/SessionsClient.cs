using System.Runtime.CompilerServices;
using Dalle.Contracts.Generation;

namespace Dalle.Client;

/// <summary>Generation sessions, as an application sees them.</summary>
public sealed class SessionsClient
{
    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(5);

    private readonly IGrainFactory _grains;
    private readonly ClusterCalls _calls;

    internal SessionsClient(IGrainFactory grains, ClusterCalls calls) => (_grains, _calls) = (grains, calls);

    /// <summary>An id that no one else has and no one can guess.</summary>
    public static string NewId() => Guid.NewGuid().ToString("N");

    /// <summary>Runs a session, or goes on with it, and streams its events to the end. A reader that leaves early ends the session.</summary>
    /// <param name="id">The session.</param>
    /// <param name="request">What to draw; for a session that has begun, the same again.</param>
    /// <param name="after">Sequence number of the last event already seen; 0 for all.</param>
    /// <param name="cancellationToken">Stops drawing.</param>
    public async IAsyncEnumerable<GenerationEvent> Generate(
        string id, GenerationRequest request, long after = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Validate();
        var over = false;
        try
        {
            var events = _calls.Follow(
                $"Session '{id}'", token => Session(id).GetStatus(token), (last, token) => Session(id).Generate(request, last, token), item => item.Sequence, after, cancellationToken);
            await foreach (var item in events)
            {
                over = item is GenerationCompleted;
                yield return item;
            }

            over = true;
        }
        finally
        {
            if (!over)
            {
                await TryCancel(id);
            }
        }
    }

    /// <exception cref="Contracts.NotFoundException">No such session was started.</exception>
    public Task<GenerationStatus> Get(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Session '{id}'", token => Session(id).GetStatus(token), cancellationToken);

    /// <summary>Ends a session; its slots are free within one token.</summary>
    public Task Cancel(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Cancelling session '{id}'", token => Session(id).Cancel(token), cancellationToken);

    private IGenerationSessionGrain Session(string id) => _grains.GetGrain<IGenerationSessionGrain>(Contracts.Names.Check(id, "session"));

    /// <summary>A courtesy: a session that no one reads ends by itself a little later.</summary>
    private async Task TryCancel(string id)
    {
        try
        {
            await _calls.Ask("Cancelling", token => Session(id).Cancel(token), CancellationToken.None, CancelTimeout);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // What ended the stream is what the caller must hear of.
        }
    }
}
