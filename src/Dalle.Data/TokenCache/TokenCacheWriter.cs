using System.Buffers.Binary;
using System.IO.Hashing;

namespace Dalle.Data.TokenCache;

/// <summary>Writes a token cache in order of the samples: header, records of fixed width, checksum.</summary>
public sealed class TokenCacheWriter
{
    /// <summary>Tokens converted at a time: those of a large dataset come to more bytes than one array holds.</summary>
    private const int PieceTokens = 1 << 15;

    private readonly Stream _stream;
    private readonly TokenCacheHeader _header;
    private readonly XxHash3 _hash = new();
    private int _written;

    /// <param name="stream">Takes the bytes; left open. The caller sees to it that an unfinished file gets no name.</param>
    /// <param name="header">What will be written.</param>
    public TokenCacheWriter(Stream stream, TokenCacheHeader header)
    {
        (_stream, _header) = (stream, header);
        Append(header.ToBytes());
    }

    /// <summary>Adds samples: <c>[samples, TokensPerSample]</c>, row-major.</summary>
    /// <exception cref="ArgumentException">The tokens are no whole samples, more than announced, or not below the codebook's size.</exception>
    public void Add(ReadOnlySpan<long> tokens)
    {
        var (samples, rest) = Math.DivRem(tokens.Length, _header.TokensPerSample);
        if (rest != 0 || samples > _header.Count - _written)
        {
            throw new ArgumentException($"Got {tokens.Length} tokens after {_written} samples; expected whole samples of {_header.TokensPerSample}, {_header.Count} in all.", nameof(tokens));
        }

        // All are checked before the first is written: a refused call leaves no trace.
        if (tokens.IndexOfAnyExceptInRange(0, _header.CodebookSize - 1) is >= 0 and var odd)
        {
            throw new ArgumentException($"Token {tokens[odd]} is not from 0 to {_header.CodebookSize - 1}.", nameof(tokens));
        }

        var bytes = new byte[Math.Min(tokens.Length, PieceTokens) * _header.TokenBytes];
        for (var left = tokens; !left.IsEmpty; left = left[Math.Min(left.Length, PieceTokens)..])
        {
            Append(Convert(left[..Math.Min(left.Length, PieceTokens)], bytes));
        }

        _written += samples;
    }

    /// <summary>Ends the file with its checksum.</summary>
    /// <exception cref="InvalidOperationException">Fewer samples came than were announced.</exception>
    public void Complete()
    {
        if (_written != _header.Count)
        {
            throw new InvalidOperationException($"Only {_written} of {_header.Count} samples were written.");
        }

        var checksum = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(checksum, _hash.GetCurrentHashAsUInt64());
        _stream.Write(checksum);
    }

    private ReadOnlySpan<byte> Convert(ReadOnlySpan<long> tokens, Span<byte> bytes)
    {
        for (var i = 0; i < tokens.Length; i++)
        {
            if (_header.TokenBytes == 2)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(bytes[(i * 2)..], (ushort)tokens[i]);
            }
            else
            {
                BinaryPrimitives.WriteInt32LittleEndian(bytes[(i * 4)..], (int)tokens[i]);
            }
        }

        return bytes[..(tokens.Length * _header.TokenBytes)];
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _hash.Append(bytes);
        _stream.Write(bytes);
    }
}
