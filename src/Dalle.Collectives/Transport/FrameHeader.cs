using System.Buffers.Binary;
using System.IO.Hashing;

namespace Dalle.Collectives.Transport;

/// <summary>What a frame is. Sent: values are append-only.</summary>
internal enum FrameKind : ushort
{
    /// <summary>A chunk of a message.</summary>
    Chunk = 1,

    /// <summary>The peer lives.</summary>
    Heartbeat = 2,

    /// <summary>The peer sends nothing more.</summary>
    Leave = 3,
}

/// <summary>The 64 bytes before every payload; little-endian, the last eight a hash of the others.</summary>
/// <param name="Kind">What the frame is.</param>
/// <param name="Job">The job's number.</param>
/// <param name="Key">The message it belongs to.</param>
/// <param name="Sequence">Number of the chunk within its message, from 0.</param>
/// <param name="Length">Bytes of payload that follow.</param>
/// <param name="Checksum">XxHash3 of the payload.</param>
internal readonly record struct FrameHeader(FrameKind Kind, ulong Job, MessageKey Key, int Sequence, int Length, ulong Checksum)
{
    public const int Size = 64;
    private const uint Magic = 0x46_4C_4C_44; // "DLLF"
    private const ushort Version = 1;
    private const int Hashed = Size - sizeof(ulong);

    /// <summary>Writes the header to the first <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], (ushort)Kind);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], Job);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], Key.Step);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[24..], Key.Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[28..], Key.Tag);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[32..], Key.Part);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[36..], Sequence);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[40..], Key.From);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[42..], Key.To);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[44..], Length);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[48..], Checksum);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[Hashed..], XxHash3.HashToUInt64(bytes[..Hashed]));
    }

    /// <summary>Reads and checks the first <see cref="Size"/> bytes.</summary>
    /// <param name="bytes">The header.</param>
    /// <param name="longest">The longest payload a frame may have.</param>
    /// <exception cref="TransportException">It is damaged, or of another protocol.</exception>
    public static FrameHeader Read(ReadOnlySpan<byte> bytes, int longest)
    {
        var magic = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        Check(magic == Magic, "the mark", $"{Magic:X8}", $"{magic:X8}");
        var version = BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]);
        Check(version == Version, "the version", $"{Version}", $"{version}");
        var hash = BinaryPrimitives.ReadUInt64LittleEndian(bytes[Hashed..]);
        var expected = XxHash3.HashToUInt64(bytes[..Hashed]);
        Check(hash == expected, "the header's checksum", $"{expected:X16}", $"{hash:X16}");
        var kind = (FrameKind)BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]);
        Check(kind is FrameKind.Chunk or FrameKind.Heartbeat or FrameKind.Leave, "the kind", "1 to 3", $"{(int)kind}");
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[44..]);
        var (least, most) = kind == FrameKind.Chunk ? (1, longest) : (0, 0);
        Check(length >= least && length <= most, "the length", $"{least} to {most} bytes", $"{length}");
        var key = new MessageKey(
            BinaryPrimitives.ReadInt32LittleEndian(bytes[24..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[28..]), BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[40..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[42..]));
        return new FrameHeader(
            kind, BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]), key, BinaryPrimitives.ReadInt32LittleEndian(bytes[36..]), length,
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]));
    }

    private static void Check(bool holds, string what, string expected, string came)
    {
        if (!holds)
        {
            throw new TransportException($"Expected a frame with {what} {expected}, got {came}.");
        }
    }
}
