using System.Buffers.Binary;
using System.IO.Hashing;
using System.IO.MemoryMappedFiles;

namespace Dalle.Data.TokenCache;

/// <summary>Reads a token cache through a memory map: any sample in any order, without reading the rest. Thread-safe.</summary>
public sealed class TokenCacheReader : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    private TokenCacheReader(MemoryMappedFile file, TokenCacheHeader header)
    {
        (_file, Header) = (file, header);
        _view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public TokenCacheHeader Header { get; }

    /// <summary>Opens a cache and checks header, length and checksum.</summary>
    /// <exception cref="InvalidDataException">The file is not a token cache, is cut off or damaged.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static TokenCacheReader Open(string path)
    {
        TokenCacheHeader header;
        using (var stream = File.OpenRead(path))
        {
            var bytes = new byte[TokenCacheHeader.Length];
            header = TokenCacheHeader.FromBytes(bytes.AsSpan(0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)), stream.Length, path);
            RequireChecksum(stream, path);
        }

        return new(MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read), header);
    }

    /// <summary>One sample's image tokens, in raster order.</summary>
    /// <param name="index">The sample, from 0 to Count - 1.</param>
    /// <param name="tokens">Takes <see cref="TokenCacheHeader.TokensPerSample"/> tokens.</param>
    public void Read(int index, Span<long> tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Header.Count);
        ArgumentOutOfRangeException.ThrowIfNotEqual(tokens.Length, Header.TokensPerSample);
        var start = TokenCacheHeader.Length + ((long)index * Header.RecordBytes);
        for (var i = 0; i < tokens.Length; i++)
        {
            tokens[i] = Header.TokenBytes == 2 ? _view.ReadUInt16(start + (i * 2L)) : _view.ReadInt32(start + (i * 4L));
        }
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private static void RequireChecksum(Stream stream, string path)
    {
        var hash = new XxHash3();
        var buffer = new byte[1 << 20];
        stream.Position = 0;
        var left = stream.Length - sizeof(ulong);
        while (left > 0)
        {
            var read = stream.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            hash.Append(buffer.AsSpan(0, read));
            left -= read;
        }

        stream.ReadExactly(buffer, 0, sizeof(ulong));
        if (BinaryPrimitives.ReadUInt64LittleEndian(buffer) != hash.GetCurrentHashAsUInt64())
        {
            throw new InvalidDataException($"'{path}' does not match its checksum: it is damaged. Encode the dataset again.");
        }
    }
}
