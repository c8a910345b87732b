using System.Buffers.Binary;
using System.IO.Hashing;

namespace Dalle.Data.TokenCache;

/// <summary>Writes a token cache in order of the samples: header, records of fixed width, checksum.</summary>
public sealed class TokenCacheWriter
{
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
        if (rest != 0 || _written + samples > _header.Count)
        {
            throw new ArgumentException($"Got {tokens.Length} tokens after {_written} samples; expected whole samples of {_header.TokensPerSample}, {_header.Count} in all.", nameof(tokens));
        }

        var bytes = new byte[tokens.Length * _header.TokenBytes];
        for (var i = 0; i < tokens.Length; i++)
        {
            if (tokens[i] < 0 || tokens[i] >= _header.CodebookSize)
            {
                throw new ArgumentException($"Token {tokens[i]} is not from 0 to {_header.CodebookSize - 1}.", nameof(tokens));
            }

            if (_header.TokenBytes == 2)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * 2), (ushort)tokens[i]);
            }
            else
            {
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * 4), (int)tokens[i]);
            }
        }

        Append(bytes);
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

    private void Append(byte[] bytes)
    {
        _hash.Append(bytes);
        _stream.Write(bytes);
    }
}
