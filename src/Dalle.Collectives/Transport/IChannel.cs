namespace Dalle.Collectives.Transport;

/// <summary>The way to one peer of a job, or within this process.</summary>
internal interface IChannel
{
    /// <inheritdoc cref="IMessageTransport.Send"/>
    Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <inheritdoc cref="IMessageTransport.Receive"/>
    Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Fails what is under way of the epoch before.</summary>
    void BeginEpoch(int epoch);

    /// <summary>A fifth of a lease has passed.</summary>
    void Tick();

    /// <summary>Says goodbye; ends when nothing is under way any more.</summary>
    Task Leave();
}
