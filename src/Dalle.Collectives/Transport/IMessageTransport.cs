namespace Dalle.Collectives.Transport;

/// <summary>Carries messages between the processes of one job. A message is matched by its peer and key; both sides know its length beforehand.</summary>
/// <remarks>
/// Thread-safe. The bytes are read and written in place, so they must stay alive and unmoved until the returned task has ended, however it ends; from then on the
/// transport does not touch them. A message of no bytes is not sent at all.
/// </remarks>
public interface IMessageTransport
{
    /// <summary>This process's own peer name.</summary>
    string Self { get; }

    /// <summary>Sends a message; ends when its bytes may be changed again, which may be before they have arrived.</summary>
    /// <exception cref="ArgumentException">The peer is this process itself.</exception>
    /// <exception cref="PeerLostException">The peer is lost for this epoch.</exception>
    /// <exception cref="TransportException">The epoch has ended, or the two sides disagree about the message.</exception>
    Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default);

    /// <summary>Waits for a message, which must be as long as <paramref name="bytes"/>; ends when all of it is there and its checksum was right.</summary>
    /// <exception cref="ArgumentException">The peer is this process itself.</exception>
    /// <exception cref="PeerLostException">The peer is lost for this epoch.</exception>
    /// <exception cref="TransportException">The epoch has ended, or the two sides disagree about the message.</exception>
    /// <exception cref="InvalidOperationException">The same message is already waited for.</exception>
    Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken = default);
}
