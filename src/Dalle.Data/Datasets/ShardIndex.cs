using System.Buffers.Binary;

namespace Dalle.Data.Datasets;

/// <summary>Where one sample is: an entry of an index file, 36 bytes, little-endian.</summary>
/// <param name="Shard">Number of the shard file.</param>
/// <param name="PictureOffset">First byte of the picture file in the shard.</param>
/// <param name="PictureLength">Bytes of the picture file.</param>
/// <param name="RecordOffset">First byte of the sample's JSON record in the shard.</param>
/// <param name="RecordLength">Bytes of the record.</param>
/// <param name="Width">Pixels per row of the upright picture.</param>
/// <param name="Height">Its rows.</param>
internal readonly record struct ShardLocation(int Shard, long PictureOffset, int PictureLength, long RecordOffset, int RecordLength, int Width, int Height)
{
    public const int Bytes = 36;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt32LittleEndian(to, Shard);
        BinaryPrimitives.WriteInt64LittleEndian(to[4..], PictureOffset);
        BinaryPrimitives.WriteInt32LittleEndian(to[12..], PictureLength);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], RecordOffset);
        BinaryPrimitives.WriteInt32LittleEndian(to[24..], RecordLength);
        BinaryPrimitives.WriteInt32LittleEndian(to[28..], Width);
        BinaryPrimitives.WriteInt32LittleEndian(to[32..], Height);
    }

    public static ShardLocation Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadInt32LittleEndian(from),
        BinaryPrimitives.ReadInt64LittleEndian(from[4..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[12..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[24..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[28..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[32..]));
}
