using System.Buffers.Binary;
using System.Text;

namespace Dalle.Data.TokenCache;

/// <summary>What a token cache holds. The first <see cref="Length"/> bytes of the file.</summary>
/// <param name="Count">Samples.</param>
/// <param name="TokensPerSample">Image tokens of one sample.</param>
/// <param name="CodebookSize">Every token is below this.</param>
/// <param name="Fingerprint">What the tokens were made of: dataset and encoder. A cache of another fingerprint is of no use.</param>
public sealed record TokenCacheHeader(int Count, int TokensPerSample, int CodebookSize, string Fingerprint)
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 512;

    private const int Version = 1;
    private const int FingerprintOffset = 32;
    private const int MaxFingerprintBytes = Length - FingerprintOffset;

    private static ReadOnlySpan<byte> Magic => "DALLETOK"u8;

    /// <summary>Bytes of one token: 2 while the codebook fits, else 4.</summary>
    public int TokenBytes => CodebookSize <= ushort.MaxValue + 1 ? 2 : 4;

    /// <summary>Bytes of one sample.</summary>
    public int RecordBytes => TokensPerSample * TokenBytes;

    /// <summary>Bytes of the records, before the checksum that ends the file.</summary>
    public long BodyBytes => (long)Count * RecordBytes;

    internal byte[] ToBytes()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Count);
        ArgumentOutOfRangeException.ThrowIfLessThan(TokensPerSample, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(CodebookSize, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Encoding.UTF8.GetByteCount(Fingerprint), MaxFingerprintBytes, nameof(Fingerprint));
        var bytes = new byte[Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), Count);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(16), TokensPerSample);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(20), CodebookSize);
        Encoding.UTF8.GetBytes(Fingerprint, bytes.AsSpan(FingerprintOffset));
        return bytes;
    }

    /// <exception cref="InvalidDataException">The bytes are not a header of this version, or do not fit the file's length.</exception>
    internal static TokenCacheHeader FromBytes(ReadOnlySpan<byte> bytes, long fileLength, string path)
    {
        if (bytes.Length < Length || !bytes[..8].SequenceEqual(Magic))
        {
            throw new InvalidDataException($"'{path}' is not a token cache.");
        }

        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) is var version && version != Version)
        {
            throw new InvalidDataException($"'{path}' is a token cache of version {version}; expected {Version}. Encode the dataset again.");
        }

        var name = bytes[FingerprintOffset..Length];
        var header = new TokenCacheHeader(
            BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[20..]),
            Encoding.UTF8.GetString(name[..(name.IndexOf((byte)0) is >= 0 and var end ? end : name.Length)]));
        var sane = header is { Count: >= 0, TokensPerSample: > 0 and <= 1 << 20, CodebookSize: > 0 };
        var expected = sane ? Length + header.BodyBytes + sizeof(ulong) : -1;
        return expected == fileLength ? header : throw new InvalidDataException(
            $"'{path}' has {fileLength} bytes where its header says {expected}: it is cut off or damaged. Encode the dataset again.");
    }
}
