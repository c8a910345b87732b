using System.Text.Json;
using Dalle.Data.Sources;
using static Dalle.Data.Tests.Sources.SourceReading;

namespace Dalle.Data.Tests.Sources;

public sealed class CocoSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_CaptionFile_JoinsByImage()
    {
        _folder.Write("val2014/COCO_1.png", Png);
        _folder.Write("val2014/COCO_2.png", Png);
        var json = _folder.Write("captions.json", """
            {"info":{"year":2014,"images":[{"id":99}]},"annotations":[{"image_id":2,"id":1,"caption":"two a"},{"image_id":1,"id":2,"caption":"one\n"},{"image_id":2,"id":3,"caption":"two b"}],
             "licenses":[[[1]],{"x":"annotations"}],"images":[{"id":1,"file_name":"COCO_1.png","height":16},{"id":2,"file_name":"COCO_2.png"},{"id":3,"file_name":"COCO_3.png"}]}
            """);

        var (samples, rejected) = await new CocoSource(json, new SampleSourceOptions { PictureFolder = _folder["val2014"] }).ReadAll();

        Assert.Equal(["1: one", "2: two a | two b"], samples.Lines());
        Assert.Equal([("3", RejectionReason.CaptionMissing)], rejected);
        AssertPictures(samples);
    }

    [Fact]
    public async Task Read_HostileRecords_AreReported()
    {
        _folder.Write("secret.png", Png);
        var json = _folder.Write("in/captions.json", """
            {"images":[{"id":1,"file_name":"../secret.png"},{"id":2,"file_name":"/etc/passwd"},{"id":"x","file_name":"a.png"},7,{"id":4,"file_name":"gone.png"}],
             "annotations":[{"image_id":1,"caption":"a"},{"image_id":2,"caption":"b"},{"image_id":4,"caption":"d"},{"image_id":4},null,{"image_id":1e300,"caption":"\ud800"}]}
            """);

        var (samples, rejected) = await new CocoSource(json).ReadAll();

        Assert.Empty(samples);
        Assert.Equal(3, rejected.Count(r => r == ("captions.json#annotations", RejectionReason.RecordMalformed)));
        Assert.Equal(2, rejected.Count(r => r == ("captions.json#images", RejectionReason.RecordMalformed)));
        Assert.Contains(("1", RejectionReason.RecordMalformed), rejected);
        Assert.Contains(("2", RejectionReason.RecordMalformed), rejected);
        Assert.Contains(("4", RejectionReason.PictureMissing), rejected);
    }

    [Fact]
    public async Task Read_TruncatedFile_GivesWhatCameBefore()
    {
        _folder.Write("1.png", Png);
        var json = _folder.Write("c.json", """{"annotations":[{"image_id":1,"caption":"one"}],"images":[{"id":1,"file_name":"1.png"},{"id":""");

        var (samples, rejected) = await new CocoSource(json).ReadAll();

        Assert.Equal(["1: one"], samples.Lines());
        Assert.Equal([("c.json", RejectionReason.RecordMalformed)], rejected);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(8192)]
    public async Task JsonArrayReader_AnyPieces_GivesTheSameElements(int maxElementBytes)
    {
        var elements = Enumerable.Range(0, 500).Select(i => new { id = i, text = new string('\u00e9', i % 17) }).ToArray();
        var json = JsonSerializer.SerializeToUtf8Bytes(new { before = elements[..30], wanted = elements, after = elements });
        var reader = new JsonArrayReader(new Trickle(json), "wanted", maxElementBytes + 60);

        var ids = new List<int>();
        await foreach (var element in reader.Read(TestContext.Current.CancellationToken))
        {
            ids.Add(element.GetProperty("id").GetInt32());
        }
        Assert.Equal(Enumerable.Range(0, 500), ids);
    }

    [Fact]
    public async Task JsonArrayReader_ElementOverTheLimit_Throws()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(new { wanted = new[] { new string('x', 5000) } });
        await Assert.ThrowsAnyAsync<JsonException>(async () =>
        {
            await foreach (var _ in new JsonArrayReader(new MemoryStream(json), "wanted", 1000).Read(TestContext.Current.CancellationToken))
            {
            }
        });
    }

    /// <summary>Gives seven bytes at a time.</summary>
    private sealed class Trickle(byte[] bytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(7, buffer.Length)], cancellationToken);
    }
}
