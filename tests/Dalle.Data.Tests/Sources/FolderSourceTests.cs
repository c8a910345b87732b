using Dalle.Data.Sources;
using static Dalle.Data.Tests.Sources.SourceReading;

namespace Dalle.Data.Tests.Sources;

public sealed class FolderSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_PicturesAndTexts_GivesSamplesInStableOrder()
    {
        _folder.Write("b.png", Png);
        _folder.Write("b.txt", "  a  blue\tsquare \r\n\n second caption\nsecond caption\n");
        _folder.Write("a.JPG", Png);
        _folder.Write("a.txt", "first");
        _folder.Write("deep/er/c.webp", Png);
        _folder.Write("deep/er/c.txt", "third");
        _folder.Write("notes.md", "not a picture");

        var (samples, rejected) = await new FolderSource(_folder.Path).ReadAll();

        Assert.Equal(["a.JPG: first", "b.png: a blue square | second caption", "deep/er/c.webp: third"], samples.Lines());
        Assert.Empty(rejected);
        AssertPictures(samples);
        Assert.Equal(samples.Lines(), (await new FolderSource(_folder.Path + "/").ReadAll()).Samples.Lines());
    }

    [Fact]
    public async Task Read_BrokenSamples_AreReported()
    {
        _folder.Write("alone.png", Png);
        _folder.Write("blank.png", Png);
        _folder.Write("blank.txt", " \n\t\n");
        _folder.Write("empty.png", "");
        _folder.Write("empty.txt", "caption");
        _folder.Write("large.png", new byte[2000]);
        _folder.Write("large.txt", "caption");
        _folder.Write("long.png", Png);
        _folder.Write("long.txt", new string('x', 2000));

        var (samples, rejected) = await new FolderSource(_folder.Path, new SampleSourceOptions { MaxPictureBytes = 1000, MaxRecordBytes = 1000 }).ReadAll();

        Assert.Empty(samples);
        Assert.Equal(
            [
                ("alone.png", RejectionReason.CaptionMissing), ("blank.png", RejectionReason.CaptionMissing), ("empty.png", RejectionReason.PictureEmpty),
                ("large.png", RejectionReason.PictureTooLarge), ("long.png", RejectionReason.RecordMalformed),
            ],
            rejected);
    }

    [Fact]
    public async Task Read_Links_AreNotFollowed()
    {
        using var elsewhere = new TemporaryFolder();
        elsewhere.Write("secret.png", Png);
        elsewhere.Write("secret.txt", "secret");
        File.CreateSymbolicLink(_folder["linked.png"], elsewhere["secret.png"]);
        Directory.CreateSymbolicLink(_folder["loop"], _folder.Path);
        Directory.CreateSymbolicLink(_folder["out"], elsewhere.Path);
        _folder.Write("told.png", Png);
        File.CreateSymbolicLink(_folder["told.txt"], elsewhere["secret.txt"]);
        _folder.Write("untold.png", Png);
        File.CreateSymbolicLink(_folder["untold.txt"], elsewhere["nothing.txt"]);

        var (samples, rejected) = await new FolderSource(_folder.Path).ReadAll();

        Assert.Empty(samples);
        Assert.Equal([("told.png", RejectionReason.CaptionMissing), ("untold.png", RejectionReason.CaptionMissing)], rejected);
    }

    /// <summary>Held by someone else, or no file at all: reading goes on with the next sample.</summary>
    [Fact]
    public async Task Read_FilesThatCannotBeRead_AreReported()
    {
        _folder.Write("a.png", Png);
        _folder.Write("a.txt", "caption");
        _folder.Write("b.png", Png);
        _folder.Write("b.txt", "caption");
        _folder.Write("c.png", Png);
        Directory.CreateDirectory(_folder["c.txt"]);
        _folder.Write("d.png", Png);
        _folder.Write("d.txt", "caption");
        using var text = new FileStream(_folder["a.txt"], FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        using var picture = new FileStream(_folder["b.png"], FileMode.Open, FileAccess.ReadWrite, FileShare.None);

        var (samples, rejected) = await new FolderSource(_folder.Path).ReadAll();

        Assert.Equal(["d.png: caption"], samples.Lines());
        Assert.Equal(
            [("a.png", RejectionReason.CaptionMissing), ("b.png", RejectionReason.PictureMissing), ("c.png", RejectionReason.CaptionMissing)], rejected);
    }

    [Fact]
    public async Task Read_Captions_AreBounded()
    {
        _folder.Write("a.png", Png);
        _folder.Write("a.txt", string.Join('\n', Enumerable.Range(0, 100).Select(i => $"caption {i} \u0007" + new string('y', 100))));

        var (samples, _) = await new FolderSource(_folder.Path, new SampleSourceOptions { MaxCaptions = 3, MaxCaptionLength = 12 }).ReadAll();

        Assert.Equal(["a.png: caption 0 yy | caption 1 yy | caption 2 yy"], samples.Lines());
    }
}
