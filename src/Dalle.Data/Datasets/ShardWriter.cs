using System.Buffers.Binary;
using System.Formats.Tar;
using System.Globalization;
using System.IO.Hashing;
using System.Security.Cryptography;
using Dalle.Data.Pictures;

namespace Dalle.Data.Datasets;

/// <summary>Writes one side of the split: WebDataset shards "NAME-00000.tar", "NAME-00001.tar", and "NAME.index" for random access.</summary>
internal sealed class ShardWriter(string folder, string name, long maxShardBytes) : IAsyncDisposable
{
    // Entries are ustar with short ASCII names, so that each has exactly one header block before its content.
    private const int HeaderBytes = 512;

    private readonly FileStream _index = new(Path.Combine(folder, name + ".index"), FileMode.CreateNew);
    private readonly XxHash128 _indexChecksum = new();
    private readonly IncrementalHash _content = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<ShardFile> _shards = [];
    private FileStream? _file;
    private TarWriter? _tar;
    private int _samplesInShard;
    private int _samples;
    private long _captions;

    /// <summary>Adds a sample; its picture has been decoded and stays as it was encoded.</summary>
    public async Task Add(SampleRecord sample, ReadOnlyMemory<byte> picture, CancellationToken cancellationToken)
    {
        if (_file is null || _file.Position >= maxShardBytes)
        {
            await CloseShard();
            OpenShard();
        }
        var key = _samples.ToString("d9", CultureInfo.InvariantCulture);
        var record = sample.ToJson();
        var pictureAt = await AddFile(key + PictureSignature.Of(picture.Span).Extension(), picture, cancellationToken);
        var recordAt = await AddFile(key + ".json", record, cancellationToken);

        var entry = new byte[ShardLocation.Bytes];
        new ShardLocation(_shards.Count, pictureAt, recordAt, sample.Width, sample.Height).Write(entry);
        await _index.WriteAsync(entry, cancellationToken);
        _indexChecksum.Append(entry);
        _content.AppendData(record);
        _content.AppendData(picture.Span);
        BinaryPrimitives.WriteInt32LittleEndian(entry, picture.Length);
        _content.AppendData(entry, 0, sizeof(int));
        (_samples, _samplesInShard, _captions) = (_samples + 1, _samplesInShard + 1, _captions + sample.Captions.Count);
    }

    /// <summary>Ends all files and puts them safely on disk.</summary>
    /// <returns>What was written, and a SHA-256 of its content.</returns>
    public async Task<(DatasetPart Part, byte[] ContentHash)> Finish()
    {
        await CloseShard();
        _index.Flush(flushToDisk: true);
        return (new DatasetPart(_samples, _captions, Convert.ToHexStringLower(_indexChecksum.GetHashAndReset()), _shards), _content.GetHashAndReset());
    }

    public async ValueTask DisposeAsync()
    {
        if (_file is not null)
        {
            await _file.DisposeAsync();
        }
        await _index.DisposeAsync();
        _content.Dispose();
    }

    private void OpenShard()
    {
        _file = new FileStream(Path.Combine(folder, $"{name}-{_shards.Count.ToString("d5", CultureInfo.InvariantCulture)}.tar"), FileMode.CreateNew);
        _tar = new TarWriter(_file, TarEntryFormat.Ustar, leaveOpen: true);
        _samplesInShard = 0;
    }

    private async Task CloseShard()
    {
        if (_file is null || _tar is null)
        {
            return;
        }
        await _tar.DisposeAsync();
        _file.Flush(flushToDisk: true);
        _shards.Add(new ShardFile(Path.GetFileName(_file.Name), _file.Length, _samplesInShard));
        await _file.DisposeAsync();
        (_file, _tar) = (null, null);
    }

    private async Task<ShardPiece> AddFile(string entryName, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var offset = _file!.Position + HeaderBytes;
        using var stream = new MemoryStream(content.ToArray(), writable: false);
        await _tar!.WriteEntryAsync(
            new UstarTarEntry(TarEntryType.RegularFile, entryName) { DataStream = stream, ModificationTime = DateTimeOffset.UnixEpoch }, cancellationToken);
        return new ShardPiece(offset, content.Length, XxHash3.HashToUInt64(content.Span));
    }
}
