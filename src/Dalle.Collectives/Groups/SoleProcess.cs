using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>The transport of groups whose members are all in one process: nothing is ever sent.</summary>
/// <param name="self">The process's name.</param>
public sealed class SoleProcess(string self) : IMessageTransport
{
    /// <inheritdoc/>
    public string Self => self;

    /// <inheritdoc/>
    public Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) => throw Alone(to);

    /// <inheritdoc/>
    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken = default) => throw Alone(from);

    private static TransportException Alone(PeerAddress peer) => new($"Expected no peer in a job of a single process, got '{peer.Name}'.");
}
