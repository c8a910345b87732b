namespace Dalle.Collectives.Transport;

/// <summary>Where the payload of one frame goes: into the memory of who waits for it, into a pooled buffer, or nowhere.</summary>
/// <param name="Header">The frame.</param>
/// <param name="Chunk">The longest payload of a frame of this connection.</param>
/// <param name="Receive">Who waits for it, or null.</param>
/// <param name="Pooled">A buffer for as long as nobody does, or null.</param>
internal readonly record struct Landing(FrameHeader Header, int Chunk, Transfer<Memory<byte>>? Receive = null, byte[]? Pooled = null)
{
    /// <summary>What an early frame counts beside its payload, so that many small ones are bounded too.</summary>
    private const int Overhead = 256;

    /// <summary>Where to read the payload to; empty when it is to be read and dropped.</summary>
    public Memory<byte> Target => Receive is { Ended: false } receive ? receive.Bytes.Slice(receive.Received, Header.Length)
        : Pooled is not null ? Pooled.AsMemory(0, Header.Length)
        : default;

    /// <summary>What the frame counts against the limit of early bytes.</summary>
    public static long EarlyCost(in FrameHeader header) => header.Length + Overhead;

    /// <summary>Checks that the frame is the next of the message that is waited for, and no longer than what is left of it.</summary>
    /// <exception cref="TransportException">It is not.</exception>
    public static void Check(in FrameHeader header, int chunk, Transfer<Memory<byte>> receive)
    {
        var length = Math.Min(chunk, receive.Length - receive.Received);
        if (header.Sequence != receive.NextSequence || header.Length != length)
        {
            throw new TransportException(
                $"Expected chunk {receive.NextSequence} of {length} bytes for {header.Key}, a message of {receive.Length} bytes, got chunk {header.Sequence} of {header.Length} bytes.");
        }
    }
}
