using System.Buffers.Binary;

namespace Dalle.Data.Sources;

/// <summary>
/// Checks that a Parquet file ends in a well-formed footer: a Thrift structure in compact protocol, its length, "PAR1". The reader of the Parquet package takes
/// that on trust, and a damaged footer can keep it busy for ever.
/// </summary>
internal ref struct ParquetFooter
{
    private const int MaxBytes = 256 << 20;
    private const int MaxDepth = 32;

    private readonly ReadOnlySpan<byte> _bytes;
    private int _position;

    private ParquetFooter(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <exception cref="InvalidDataException">The footer is damaged.</exception>
    public static void Check(FileStream file)
    {
        var end = new byte[8];
        file.Seek(-Math.Min(file.Length, end.Length), SeekOrigin.End);
        file.ReadExactly(end);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(end);
        if (!end.AsSpan(4).SequenceEqual("PAR1"u8) || length > Math.Min(file.Length - 12, MaxBytes))
        {
            throw new InvalidDataException("it does not end as a whole one does.");
        }
        var bytes = new byte[length];
        file.Seek(-8L - length, SeekOrigin.End);
        file.ReadExactly(bytes);
        file.Seek(0, SeekOrigin.Begin);
        var footer = new ParquetFooter(bytes);
        footer.SkipStruct(0);
        Require(footer._position == bytes.Length);
    }

    private void SkipStruct(int depth)
    {
        Require(depth < MaxDepth);
        while (Byte() is not 0 and var field)
        {
            if (field >> 4 == 0)
            {
                Varint();
            }
            SkipValue(field & 15, depth, inList: false);
        }
    }

    private void SkipValue(int type, int depth, bool inList)
    {
        switch (type)
        {
            case 1 or 2: // booleans: in a field the type is the value
                Skip(inList ? 1u : 0u);
                break;
            case 3: // byte
                Skip(1);
                break;
            case 4 or 5 or 6: // integers
                Varint();
                break;
            case 7: // double
                Skip(8);
                break;
            case 8: // string
                Skip(Varint());
                break;
            case 9 or 10: // list, set
                SkipList(depth + 1);
                break;
            case 12:
                SkipStruct(depth + 1);
                break;
            default: // maps do not occur in a footer
                Require(false);
                break;
        }
    }

    private void SkipList(int depth)
    {
        Require(depth < MaxDepth);
        var header = Byte();
        var count = header >> 4 == 15 ? Varint() : (ulong)(header >> 4);
        Require(count <= (ulong)(_bytes.Length - _position));
        for (var i = 0UL; i < count; i++)
        {
            SkipValue(header & 15, depth, inList: true);
        }
    }

    private ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Byte();
            value |= (ulong)(part & 127) << shift;
            if (part < 128)
            {
                return value;
            }
        }
        Require(false);
        return value;
    }

    private int Byte()
    {
        Require(_position < _bytes.Length);
        return _bytes[_position++];
    }

    private void Skip(ulong count)
    {
        Require(count <= (ulong)(_bytes.Length - _position));
        _position += (int)count;
    }

    private static void Require(bool wellFormed)
    {
        if (!wellFormed)
        {
            throw new InvalidDataException("its footer is damaged.");
        }
    }
}
