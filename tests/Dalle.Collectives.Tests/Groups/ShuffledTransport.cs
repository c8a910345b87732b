using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>Sends each message after a number of turns of the thread pool that a seed decides: what was sent first may well arrive last.</summary>
internal sealed class ShuffledTransport(IMessageTransport inner, int seed) : IMessageTransport
{
    private readonly Random _random = new(seed);

    public string Self => inner.Self;

    public async Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        int turns;
        lock (_random)
        {
            turns = _random.Next(20);
        }

        for (var i = 0; i < turns; i++)
        {
            await Task.Yield();
        }

        await inner.Send(to, key, bytes, cancellationToken);
    }

    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken = default) =>
        inner.Receive(from, key, bytes, cancellationToken);
}
