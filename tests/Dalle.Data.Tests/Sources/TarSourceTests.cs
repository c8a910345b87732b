using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Dalle.Data.Sources;
using static Dalle.Data.Tests.Sources.SourceReading;

namespace Dalle.Data.Tests.Sources;

public sealed class TarSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_SeveralShards_GivesEverySample()
    {
        _folder.Write("s-0.tar", Tar(("0001.png", Png), ("0001.txt", Utf8("one\nuno")), ("sub.dir/0002.seg.png", Png), ("sub.dir/0002.json", Utf8("""{"caption":"two","x":[1]}"""))));
        _folder.Write("s-1.tar", Tar(("0003.json", Utf8("""{"captions":["three","drei"]}""")), ("0003.txt", Utf8("not this")), ("0003.cls", Utf8("7")), ("0003.png", Png)));

        var (samples, rejected) = await SampleSources.Open(_folder["s-*.tar"]).ReadAll();

        Assert.Equal(["s-0/0001: one | uno", "s-0/sub.dir/0002: two", "s-1/0003: three | drei"], samples.Lines());
        Assert.Empty(rejected);
        AssertPictures(samples);
    }

    [Fact]
    public async Task Read_GzippedShard_IsTheSame()
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionMode.Compress, leaveOpen: true))
        {
            gzip.Write(Tar(("a.png", Png), ("a.txt", Utf8("one"))));
        }
        var (samples, _) = await SampleSources.Open(_folder.Write("x.tar.gz", compressed.ToArray())).ReadAll();
        Assert.Equal(["x.tar/a: one"], samples.Lines());
    }

    [Fact]
    public async Task Read_BrokenSamples_AreReported()
    {
        var path = _folder.Write("s.tar", Tar(
            ("none.png", Png), ("text.txt", Utf8("no picture")), ("json.png", Png), ("json.json", Utf8("{\"caption\":")), ("large.png", new byte[5000]), ("large.txt", Utf8("large")),
            ("../../etc/passwd.png", Png), ("../../etc/passwd.txt", Utf8("harmless: nothing is written")), ("long.png", Png), ("long.txt", new byte[5000]), ("odd.png", Png), ("odd.json", Utf8("[1]"))));

        var (samples, rejected) = await new TarSource([path], new SampleSourceOptions { MaxPictureBytes = 2000, MaxRecordBytes = 2000 }).ReadAll();

        Assert.Equal(["s/../../etc/passwd: harmless: nothing is written"], samples.Lines());
        Assert.Equal(
            [
                ("s/none", RejectionReason.CaptionMissing), ("s/text", RejectionReason.PictureMissing), ("s/json", RejectionReason.RecordMalformed),
                ("s/large", RejectionReason.PictureTooLarge), ("s/long", RejectionReason.RecordMalformed), ("s/odd", RejectionReason.CaptionMissing),
            ],
            rejected);
    }

    [Fact]
    public async Task Read_TruncatedAnywhere_GivesWhatIsWhole()
    {
        var whole = Tar(("a.png", Png), ("a.txt", Utf8("one")), ("b.png", Png), ("b.txt", Utf8("two")));
        _folder.Write("next.tar", Tar(("c.png", Png), ("c.txt", Utf8("three"))));
        for (var length = 0; length <= whole.Length; length += 61)
        {
            var cut = _folder.Write("cut.tar", whole[..length]);
            var (samples, rejected) = await new TarSource([cut, _folder["next.tar"]]).ReadAll();
            Assert.Equal("next/c: three", samples.Lines()[^1]);
            Assert.InRange(samples.Count, 1, 3);
            AssertPictures(samples);
            if (length is > 512 and < 3000)
            {
                Assert.NotEmpty(rejected);
            }
        }
    }

    [Fact]
    public async Task Read_FlippedBytes_NeverThrows()
    {
        var whole = Tar(("a.png", Png), ("a.txt", Utf8("one")));
        for (var i = 0; i < whole.Length; i += 3)
        {
            var damaged = (byte[])whole.Clone();
            damaged[i] ^= 0xFF;
            var (samples, _) = await new TarSource([_folder.Write("flip.tar", damaged)]).ReadAll();
            Assert.InRange(samples.Count, 0, 1);
        }
    }

    [Fact]
    public async Task Read_LinksAndDevices_AreIgnored()
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, leaveOpen: true))
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "a.png") { LinkName = "/etc/passwd" });
            tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "b.png"));
        }
        var (samples, rejected) = await new TarSource([_folder.Write("s.tar", bytes.ToArray())]).ReadAll();
        Assert.Empty(samples);
        Assert.Empty(rejected);
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    internal static byte[] Tar(params ReadOnlySpan<TarFile> files)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, leaveOpen: true))
        {
            foreach (var file in files)
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, file.Name) { DataStream = new MemoryStream(file.Content) });
            }
        }
        return bytes.ToArray();
    }

    internal readonly record struct TarFile(string Name, byte[] Content)
    {
        public static implicit operator TarFile((string Name, byte[] Content) file) => new(file.Name, file.Content);
    }
}
