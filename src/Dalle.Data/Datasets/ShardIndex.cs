using System.Buffers.Binary;

namespace Dalle.Data.Datasets;

/// <summary>A piece of a shard file.</summary>
/// <param name="Offset">Its first byte.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Checksum">XxHash3 of them.</param>
internal readonly record struct ShardPiece(long Offset, int Length, ulong Checksum)
{
    public const int Bytes = 20;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt64LittleEndian(to, Offset);
        BinaryPrimitives.WriteInt32LittleEndian(to[8..], Length);
        BinaryPrimitives.WriteUInt64LittleEndian(to[12..], Checksum);
    }

    public static ShardPiece Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadInt64LittleEndian(from), BinaryPrimitives.ReadInt32LittleEndian(from[8..]), BinaryPrimitives.ReadUInt64LittleEndian(from[12..]));
}

/// <summary>Where one sample is: an entry of an index file, 52 bytes, little-endian.</summary>
/// <param name="Shard">Number of the shard file.</param>
/// <param name="Picture">The picture file in the shard.</param>
/// <param name="Record">The sample's JSON record in the shard.</param>
/// <param name="Width">Pixels per row of the upright picture.</param>
/// <param name="Height">Its rows.</param>
internal readonly record struct ShardLocation(int Shard, ShardPiece Picture, ShardPiece Record, int Width, int Height)
{
    public const int Bytes = 12 + (2 * ShardPiece.Bytes);

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt32LittleEndian(to, Shard);
        Picture.Write(to[4..]);
        Record.Write(to[24..]);
        BinaryPrimitives.WriteInt32LittleEndian(to[44..], Width);
        BinaryPrimitives.WriteInt32LittleEndian(to[48..], Height);
    }

    public static ShardLocation Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadInt32LittleEndian(from),
        ShardPiece.Read(from[4..]),
        ShardPiece.Read(from[24..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[44..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[48..]));
}
