using Dalle.Data.Sources;
using Parquet;
using Parquet.Schema;
using static Dalle.Data.Tests.Sources.SourceReading;

namespace Dalle.Data.Tests.Sources;

public sealed class TableSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TableSourceTests()
    {
        _folder.Write("p/1.png", Png);
        _folder.Write("p/2.png", Png);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ReadCsv_RowsOfOnePicture_AreOneSample()
    {
        var table = _folder.Write("t.csv", "split,Caption,Path\r\ntrain,\"one, \"\"quoted\"\"\nsecond line\",p/1.png\r\ntrain,uno,p/1.png\r\ntest,two,p/2.png\r\n");

        var (samples, rejected) = await SampleSources.Open(table).ReadAll();

        Assert.Equal(["p/1.png: one, \"quoted\" second line | uno", "p/2.png: two"], samples.Lines());
        Assert.Empty(rejected);
        AssertPictures(samples);
    }

    [Fact]
    public async Task ReadTsv_QuotesAreOrdinary_AndColumnsAreNamed()
    {
        var table = _folder.Write("t.tsv", "text\tfile\n\"unclosed quote\t1.png\ntwo\t2.png\n");

        var (samples, _) = await SampleSources.Open(table, new SampleSourceOptions { PathColumn = "file", CaptionColumn = "text", PictureFolder = _folder["p"] }).ReadAll();

        Assert.Equal(["1.png: \"unclosed quote", "2.png: two"], samples.Lines());
    }

    [Fact]
    public async Task ReadCsv_BadRows_AreReported()
    {
        var table = _folder.Write("t.csv", "path,caption\np/1.png\n,empty path\np/gone.png,x\n../t.csv,out\n/etc/passwd,out\np/2.png,\np/1.png,one\n");

        var (samples, rejected) = await SampleSources.Open(table).ReadAll();

        Assert.Equal(["p/1.png: one"], samples.Lines());
        Assert.Equal(
            [
                ("t.csv:2", RejectionReason.RecordMalformed), ("t.csv:3", RejectionReason.RecordMalformed), ("p/gone.png", RejectionReason.PictureMissing),
                ("../t.csv", RejectionReason.RecordMalformed), ("/etc/passwd", RejectionReason.RecordMalformed), ("p/2.png", RejectionReason.CaptionMissing),
            ],
            rejected);
    }

    [Fact]
    public async Task ReadCsv_UnclosedQuote_EndsTheReadWithinTheLimit()
    {
        var table = _folder.Write("t.csv", "path,caption\np/1.png,one\np/2.png,\"" + string.Concat(Enumerable.Repeat("p/1.png,never\n", 100_000)));

        var (samples, rejected) = await SampleSources.Open(table).ReadAll();

        Assert.Equal(["p/1.png: one"], samples.Lines());
        Assert.Equal(RejectionReason.RecordMalformed, Assert.Single(rejected).Reason);
    }

    [Theory]
    [InlineData("t.csv", "file,caption\n1,2\n")]
    [InlineData("t.csv", "")]
    [InlineData("t.tsv", "path,caption\n1,2\n")]
    public async Task ReadCsv_MissingColumn_SaysWhichThereAre(string name, string content)
    {
        var error = await Assert.ThrowsAsync<SourceException>(() => SampleSources.Open(_folder.Write(name, content)).ReadAll());
        Assert.Contains("'path'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReadParquet_RowGroups_GiveSamples()
    {
        var table = await WriteParquet("t.parquet", ["p/1.png", "p/1.png"], ["one", "uno"], ["p/2.png", "p/2.png", null], ["two", null, "lost"]);

        var (samples, rejected) = await SampleSources.Open(table).ReadAll();

        Assert.Equal(["p/1.png: one | uno", "p/2.png: two"], samples.Lines());
        Assert.Equal([("t.parquet:1.2", RejectionReason.RecordMalformed)], rejected);
        AssertPictures(samples);
    }

    [Fact]
    public async Task ReadParquet_MissingColumn_SaysWhichThereAre()
    {
        var table = await WriteParquet("t.parquet", ["p/1.png"], ["one"], [], []);
        var error = await Assert.ThrowsAsync<SourceException>(() => SampleSources.Open(table, new SampleSourceOptions { CaptionColumn = "TEXT" }).ReadAll());
        Assert.Contains("'caption'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReadParquet_ColumnOfNumbers_SaysWhatItHolds()
    {
        var schema = new ParquetSchema(new DataField<string>("path"), new DataField<int>("caption"));
        await using (var file = File.Create(_folder["n.parquet"]))
        await using (var writer = await ParquetWriter.CreateAsync(schema, file, cancellationToken: TestContext.Current.CancellationToken))
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync(schema.DataFields[0], new[] { "p/1.png" });
            await group.WriteAsync<int>(schema.DataFields[1], new[] { 1 }, cancellationToken: TestContext.Current.CancellationToken);
        }

        var error = await Assert.ThrowsAsync<SourceException>(() => SampleSources.Open(_folder["n.parquet"]).ReadAll());
        Assert.Contains("Column 'caption'", error.Message, StringComparison.Ordinal);
        Assert.Contains("holds Int32; strings are expected.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReadCsv_WithAByteOrderMark_FindsItsColumns()
    {
        var table = _folder.Write("t.csv", "\uFEFFpath,caption\np/1.png,one\n");
        var (samples, _) = await SampleSources.Open(table).ReadAll();
        Assert.Equal(["p/1.png: one"], samples.Lines());
    }

    [Fact]
    public async Task ReadParquet_Damage_IsTyped()
    {
        var whole = File.ReadAllBytes(await WriteParquet("t.parquet", ["p/1.png", "p/1.png"], ["one", "uno"], ["p/2.png"], ["two"]));
        for (var i = 0; i < whole.Length; i++)
        {
            var flipped = (byte[])whole.Clone();
            flipped[i] ^= 0x55;
            await ReadDamaged(flipped);
            await ReadDamaged(whole[..i]);
        }
    }

    private async Task ReadDamaged(byte[] content)
    {
        try
        {
            await SampleSources.Open(_folder.Write("damaged.parquet", content)).ReadAll();
        }
        catch (SourceException)
        {
        }
    }

    private async Task<string> WriteParquet(string name, string?[] paths1, string?[] captions1, string?[] paths2, string?[] captions2)
    {
        var schema = new ParquetSchema(new DataField<string>("path"), new DataField<string>("caption"));
        await using var file = File.Create(_folder[name]);
        await using var writer = await ParquetWriter.CreateAsync(schema, file, cancellationToken: TestContext.Current.CancellationToken);
        foreach (var (paths, captions) in new[] { (paths1, captions1), (paths2, captions2) })
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync(schema.DataFields[0], paths!);
            await group.WriteAsync(schema.DataFields[1], captions!);
        }
        return _folder[name];
    }
}
