using System.IO.Hashing;
using Dalle.Data.Sources;
using Microsoft.Win32.SafeHandles;

namespace Dalle.Data.Datasets;

/// <summary>The shards of one side of the split, with their index. Reads are positional, so any number of threads may read at once.</summary>
internal sealed class ShardSet : IDisposable
{
    private readonly List<(string Path, SafeFileHandle File)> _shards = [];
    private readonly byte[] _index;

    private ShardSet(byte[] index) => _index = index;

    /// <exception cref="SourceException">A file is missing or is not the one that was imported.</exception>
    public static ShardSet Open(string folder, string name, DatasetPart part)
    {
        var indexPath = Path.Combine(folder, name + ".index");
        try
        {
            var index = File.ReadAllBytes(indexPath);
            if (index.Length != (long)part.Samples * ShardLocation.Bytes || Convert.ToHexStringLower(XxHash128.Hash(index)) != part.IndexChecksum)
            {
                throw Changed(indexPath);
            }
            var set = new ShardSet(index);
            foreach (var shard in part.Shards)
            {
                set.OpenShard(folder, shard);
            }
            return set;
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            throw new SourceException($"The dataset '{folder}' is not complete: {unreadable.Message} Import it again.", unreadable);
        }
    }

    public ShardLocation Locate(int number) => ShardLocation.Read(_index.AsSpan(number * ShardLocation.Bytes, ShardLocation.Bytes));

    /// <exception cref="InvalidDataException">The shard has changed since it was imported.</exception>
    public byte[] ReadPicture(int number)
    {
        var location = Locate(number);
        return Read(number, location.Shard, location.Picture);
    }

    /// <inheritdoc cref="ReadPicture"/>
    public SampleRecord ReadRecord(int number)
    {
        var location = Locate(number);
        return SampleRecord.FromJson(Read(number, location.Shard, location.Record));
    }

    public void Dispose() => _shards.ForEach(shard => shard.File.Dispose());

    private void OpenShard(string folder, ShardFile shard)
    {
        if (Path.GetFileName(shard.File) != shard.File)
        {
            Dispose();
            throw new SourceException($"The manifest of '{folder}' names a shard outside the folder: '{shard.File}'.");
        }
        var path = Path.Combine(folder, shard.File);
        try
        {
            var handle = File.OpenHandle(path, options: FileOptions.RandomAccess);
            _shards.Add((path, handle));
            if (RandomAccess.GetLength(handle) != shard.Bytes)
            {
                throw Changed(path);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private byte[] Read(int number, int shard, ShardPiece piece)
    {
        var (path, file) = _shards[shard];
        var bytes = new byte[piece.Length];
        for (int done = 0, read; done < bytes.Length; done += read)
        {
            read = RandomAccess.Read(file, bytes.AsSpan(done), piece.Offset + done);
            if (read == 0)
            {
                throw Damaged(path, number);
            }
        }
        return XxHash3.HashToUInt64(bytes) == piece.Checksum ? bytes : throw Damaged(path, number);
    }

    private static InvalidDataException Damaged(string path, int number) =>
        new($"'{path}' has changed since it was imported: sample {number} is not what it was. Import the dataset again.");

    private static SourceException Changed(string path) => new($"'{path}' is not the file that was imported: its length or checksum differs. Import the dataset again.");
}
