using Dalle.Data.Sources;

namespace Dalle.Data.Tests.Sources;

public sealed class SampleSourcesTests
{
    [Fact]
    public void Open_PicksByShape()
    {
        using var folder = new TemporaryFolder();
        Assert.IsType<FolderSource>(SampleSources.Open(folder.Path));
        Assert.IsType<TarSource>(SampleSources.Open(folder.Write("a.tar", "")));
        Assert.IsType<TarSource>(SampleSources.Open(folder.Path));
        Assert.IsType<TarSource>(SampleSources.Open(folder["*.tar"]));
        Assert.IsType<TarSource>(SampleSources.Open(folder.Write("A.TGZ", "")));
        Assert.IsType<CocoSource>(SampleSources.Open(folder.Write("a.json", "")));
        Assert.IsType<CsvSource>(SampleSources.Open(folder.Write("a.CSV", "")));
        Assert.IsType<CsvSource>(SampleSources.Open(folder.Write("a.tsv", "")));
        Assert.IsType<ParquetSource>(SampleSources.Open(folder.Write("a.parquet", "")));
        Assert.IsType<EmojiSource>(SampleSources.Open("emoji"));
        Assert.IsType<DatasetSource>(SampleSources.Open("scenes"));
    }

    [Theory]
    [InlineData("no-such-thing", "There is no file or folder 'no-such-thing'")]
    [InlineData("no-such-folder/*.tar", "No file matches")]
    [InlineData("a.xyz", "not a kind of file")]
    public void Open_Unknown_ListsWhatIsUnderstood(string source, string fault)
    {
        using var folder = new TemporaryFolder();
        folder.Write("a.xyz", "");
        var error = Assert.Throws<SourceException>(() => SampleSources.Open(source == "a.xyz" ? folder[source] : source));
        Assert.Contains(fault, error.Message, StringComparison.Ordinal);
        Assert.Contains("emoji", error.Message, StringComparison.Ordinal);
        Assert.Contains(".parquet", error.Message, StringComparison.Ordinal);
    }
}
