using System.IO.Hashing;
using Dalle.Data.Sources;
using Microsoft.Win32.SafeHandles;

namespace Dalle.Data.Datasets;

/// <summary>The shards of one side of the split, with their index. Reads are positional, so any number of threads may read at once.</summary>
internal sealed class ShardSet : IDisposable
{
    private readonly List<SafeFileHandle> _shards = [];
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

    public byte[] ReadPicture(int number)
    {
        var location = Locate(number);
        return Read(location.Shard, location.PictureOffset, location.PictureLength);
    }

    public SampleRecord ReadRecord(int number)
    {
        var location = Locate(number);
        return SampleRecord.FromJson(Read(location.Shard, location.RecordOffset, location.RecordLength));
    }

    public void Dispose() => _shards.ForEach(shard => shard.Dispose());

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
            _shards.Add(handle);
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

    private byte[] Read(int shard, long offset, int length)
    {
        var bytes = new byte[length];
        for (var done = 0; done < length;)
        {
            var read = RandomAccess.Read(_shards[shard], bytes.AsSpan(done), offset + done);
            done += read > 0 ? read : throw new InvalidDataException($"Shard {shard} ends before byte {offset + length}; import the dataset again.");
        }
        return bytes;
    }

    private static SourceException Changed(string path) => new($"'{path}' is not the file that was imported: its length or checksum differs. Import the dataset again.");
}
