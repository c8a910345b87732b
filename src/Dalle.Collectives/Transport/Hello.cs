using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Dalle.Collectives.Transport;

/// <summary>The first thing either side of a connection says, always 128 bytes.</summary>
/// <param name="Job">The job's number.</param>
/// <param name="Epoch">The epoch the peer is in.</param>
/// <param name="ChunkBytes">The longest payload it takes.</param>
/// <param name="Name">The peer's name.</param>
internal sealed record Hello(ulong Job, int Epoch, int ChunkBytes, string Name)
{
    public const int Size = 128;
    public const int LongestName = 64;
    private const uint Magic = 0x48_4C_4C_44; // "DLLH"
    private const uint Version = 1;
    private const int NonceAt = 24;
    private const int NameAt = NonceAt + 32;

    /// <summary>The bytes, with a nonce of their own: a proof over them was made for this connection.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), Job);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(16), Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(20), ChunkBytes);
        RandomNumberGenerator.Fill(bytes.AsSpan(NonceAt, NameAt - NonceAt));
        Encoding.ASCII.GetBytes(Name, bytes.AsSpan(NameAt));
        return bytes;
    }

    /// <exception cref="TransportException">It is no hello of this protocol.</exception>
    public static Hello Parse(ReadOnlySpan<byte> bytes)
    {
        var (magic, version) = (BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
        if (magic != Magic || version != Version)
        {
            throw new TransportException($"Expected a hello with the mark {Magic:X8} and version {Version}, got {magic:X8} and {version}.");
        }

        var name = Encoding.ASCII.GetString(bytes.Slice(NameAt, LongestName)).TrimEnd('\0');
        var chunk = BinaryPrimitives.ReadInt32LittleEndian(bytes[20..]);
        return TransportOptions.IsName(name) && chunk is >= 4 << 10 and <= 16 << 20
            ? new Hello(BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]), BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]), chunk, name)
            : throw new TransportException($"Expected a hello with a name and a chunk of 4 KiB to 16 MiB, got a name of {name.Length} characters and {chunk} bytes.");
    }
}
