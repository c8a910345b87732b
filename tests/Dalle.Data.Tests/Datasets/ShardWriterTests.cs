using System.Formats.Tar;
using System.IO.Hashing;
using System.Text.Json;
using Dalle.Data.Datasets;
using Dalle.Data.Tests.Sources;
using static Dalle.Data.Tests.Sources.SourceReading;

namespace Dalle.Data.Tests.Datasets;

public sealed class ShardWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Add_WritesWebDatasetShards_ThatAnyTarReaderReads()
    {
        var (part, _) = await Write("train", samples: 3, maxShardBytes: 1 << 20);

        Assert.Equal(new ShardFile("train-00000.tar", new FileInfo(_folder["train-00000.tar"]).Length, 3), Assert.Single(part.Shards));
        Assert.Equal((3, 6L), (part.Samples, part.Captions));
        await using var tar = new TarReader(File.OpenRead(_folder["train-00000.tar"]));
        for (var i = 0; i < 3; i++)
        {
            var picture = (await tar.GetNextEntryAsync(copyData: true, Token))!;
            var record = (await tar.GetNextEntryAsync(copyData: true, Token))!;
            Assert.Equal(($"00000000{i}.png", $"00000000{i}.json"), (picture.Name, record.Name));
            Assert.Equal(Png, await ReadAll(picture));
            Assert.Equal($"caption {i}", JsonDocument.Parse(await ReadAll(record)).RootElement.GetProperty("caption").GetString());
        }

        Assert.Null(await tar.GetNextEntryAsync(copyData: false, Token));
    }

    [Fact]
    public async Task Index_PointsAtTheVeryBytes()
    {
        var (part, _) = await Write("train", samples: 5, maxShardBytes: 2_000);
        var index = File.ReadAllBytes(_folder["train.index"]);

        Assert.True(part.Shards.Count > 1);
        Assert.Equal(part.IndexChecksum, Convert.ToHexStringLower(XxHash128.Hash(index)));
        Assert.Equal(5, part.Shards.Sum(shard => shard.Samples));
        for (var i = 0; i < 5; i++)
        {
            var location = ShardLocation.Read(index.AsSpan(i * ShardLocation.Bytes));
            var shard = File.ReadAllBytes(_folder[part.Shards[location.Shard].File]);
            Assert.Equal(Png, shard.AsSpan((int)location.Picture.Offset, location.Picture.Length).ToArray());
            Assert.Equal($"id {i}", SampleRecord.FromJson(shard.AsSpan((int)location.Record.Offset, location.Record.Length)).Id);
            Assert.Equal(XxHash3.HashToUInt64(Png), location.Picture.Checksum);
        }
    }

    [Fact]
    public async Task ContentHash_DoesNotDependOnTheShards_ButOnEverySample()
    {
        var (_, whole) = await Write("a", samples: 4, maxShardBytes: 1 << 20);
        var (_, split) = await Write("b", samples: 4, maxShardBytes: 1);
        var (_, fewer) = await Write("c", samples: 3, maxShardBytes: 1);

        Assert.Equal(whole, split);
        Assert.NotEqual(whole, fewer);
    }

    [Fact]
    public async Task Finish_OfNothing_IsAnEmptyPart()
    {
        var (part, _) = await Write("held-out", samples: 0, maxShardBytes: 1);
        Assert.Equal((0, 0L, 0), (part.Samples, part.Captions, part.Shards.Count));
    }

    private async Task<(DatasetPart Part, byte[] ContentHash)> Write(string name, int samples, long maxShardBytes)
    {
        await using var writer = new ShardWriter(_folder.Path, name, maxShardBytes);
        for (var i = 0; i < samples; i++)
        {
            await writer.Add(new SampleRecord($"id {i}", $"caption {i}", [$"caption {i}", "other"], 24, 16), Png, Token);
        }

        return await writer.Finish();
    }

    private static async Task<byte[]> ReadAll(TarEntry entry)
    {
        using var bytes = new MemoryStream();
        await entry.DataStream!.CopyToAsync(bytes, Token);
        return bytes.ToArray();
    }
}
