using Dalle.Data.Pictures;
using Dalle.Data.Sources;
using Dalle.Data.Testing;
using Dalle.Data.Tests.Pictures;

namespace Dalle.Data.Tests.Sources;

/// <summary>The emoji source on packages that are in the package folder already; no download.</summary>
public sealed class EmojiSourceTests : IDisposable
{
    private static readonly byte[] Runner = PngEncoder.Encode(Fixture.Draw(64, 64));
    private static readonly byte[] Heart = PngEncoder.Encode(Fixture.Draw(64, 60));

    private readonly TemporaryFolder _folder = new();

    public EmojiSourceTests() => EmojiPackages.Write(_folder.Path, Runner, Heart);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_GivesEveryNamedPictureOfTheArtwork()
    {
        var (samples, rejected) = await Source().ReadAll();

        Assert.Equal(["1f3c3: person running | runner | person running, people and body | move", "2764-fe0f: red heart | heart | red heart, smileys and emotion"], samples.Lines());
        Assert.Equal([Runner, Heart], samples.Select(sample => sample.EncodedPicture.ToArray()));
        Assert.Equal(["1f3c3", "2764"], samples.Select(sample => sample.Group));
        Assert.Equal([("ffff", RejectionReason.CaptionMissing)], rejected);
        Assert.Contains("Apache-2.0", Source().Licence, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_OfAPictureOverTheLimit_ReportsIt()
    {
        var (_, rejected) = await Source(new SampleSourceOptions { MaxPictureBytes = 10 }).ReadAll();
        Assert.Contains(("1f3c3", RejectionReason.PictureTooLarge), rejected);
    }

    [Fact]
    public async Task Read_OfAPackageWithoutItsList_SaysWhatToDo()
    {
        EmojiPackages.WriteArchive(_folder[EmojiPackages.Keywords], ("package/other.json", "{}"u8.ToArray()));
        var error = await Assert.ThrowsAsync<SourceException>(() => Source().ReadAll());
        Assert.Contains($"{EmojiPackages.Keywords}' does not hold dist/emoji-en-US.json. Delete it to fetch the package again.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_OfADamagedPackage_SaysWhatToDo()
    {
        var archive = _folder[EmojiPackages.Artwork];
        var whole = File.ReadAllBytes(archive);
        foreach (var damaged in new[] { whole[..(whole.Length / 2)], "<html>"u8.ToArray() })
        {
            File.WriteAllBytes(archive, damaged);
            var error = await Assert.ThrowsAsync<SourceException>(() => Source().ReadAll());
            Assert.Contains($"{EmojiPackages.Artwork}' is damaged", error.Message, StringComparison.Ordinal);
            Assert.Contains("Delete it to fetch the package again.", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Fetch_OfAPackageThatIsThere_RunsNothing() =>
        Assert.Equal(_folder["no-such-package-1.0.0.tgz"], await new NpmPackage("no-such-package", "1.0.0").Fetch(
            Path.GetDirectoryName(_folder.Write("no-such-package-1.0.0.tgz", ""))!, TestContext.Current.CancellationToken));

    [Fact]
    public async Task Files_AreThoseOfThePackage_WithoutItsFolder()
    {
        var names = new List<string>();
        await foreach (var (name, _) in NpmPackage.Files(_folder[EmojiPackages.Artwork], TestContext.Current.CancellationToken))
        {
            names.Add(name);
        }

        Assert.Equal(["emoji.json", "img/google/64/1f3c3.png", "img/google/64/2764-fe0f.png", "img/google/64/ffff.png", "img/google/sheets/64.png"], names);
    }

    private EmojiSource Source(SampleSourceOptions? options = null) => new((options ?? new()) with { PackageFolder = _folder.Path });
}
