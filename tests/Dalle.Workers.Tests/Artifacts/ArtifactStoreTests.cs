using Dalle.Contracts;
using Dalle.Workers.Artifacts;

namespace Dalle.Workers.Tests.Artifacts;

public sealed class ArtifactStoreTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dalle-artifacts-");
    private readonly ArtifactStore _store;

    public ArtifactStoreTests() => _store = new(Path.Combine(_folder.FullName, "store"));

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("..")]
    [InlineData("a/../../b")]
    [InlineData("a/./b")]
    [InlineData("a/.hidden")]
    [InlineData("a\\b")]
    [InlineData("C:")]
    [InlineData("a b")]
    [InlineData("a\0b")]
    public void PathOf_KeyThatCouldLeaveTheStore_IsRefused(string key) => Assert.Throws<InvalidRequestException>(() => _store.PathOf(key));

    [Fact]
    public void PathOf_KeyTooLong_IsRefused()
    {
        Assert.Throws<InvalidRequestException>(() => _store.PathOf(new string('a', ArtifactKey.MaxPartLength + 1)));
        Assert.Throws<InvalidRequestException>(() => _store.PathOf(string.Join('/', Enumerable.Repeat("part", 200))));
    }

    [Fact]
    public void Write_ThenOpen_GivesTheSameBytesAndLeavesNothingElse()
    {
        _store.Write("jobs/a/note.txt", stream => stream.Write("first"u8));
        _store.Write("jobs/a/note.txt", stream => stream.Write("second"u8));
        using var reader = new StreamReader(_store.Open("jobs/a/note.txt"));
        Assert.Equal("second", reader.ReadToEnd());
        Assert.Single(Directory.GetFiles(_store.PathOf("jobs/a")));
    }

    [Fact]
    public void Write_WriterThrows_TheOldFileStays()
    {
        _store.Write("a", stream => stream.Write("old"u8));
        Assert.Throws<InvalidDataException>(() => _store.Write("a", stream =>
        {
            stream.Write("half"u8);
            throw new InvalidDataException();
        }));
        using var reader = new StreamReader(_store.Open("a"));
        Assert.Equal("old", reader.ReadToEnd());
        Assert.Single(Directory.GetFiles(_store.Root));
    }

    [Fact]
    public void List_FilesAndFolders_AreInOrderAndMissingOnesEmpty()
    {
        foreach (var key in (string[])["f/c.bin", "f/a.bin", "f/2/x", "f/10/x"])
        {
            _store.Write(key, _ => { });
        }

        Assert.Equal(["f/a.bin", "f/c.bin"], _store.ListFiles("f"));
        Assert.Equal(["f/10", "f/2"], _store.ListFolders("f"));
        Assert.Empty(_store.ListFiles("g"));
        Assert.Empty(_store.ListFolders("g"));
    }

    [Fact]
    public void DeleteFolder_TakesAllInItAndMayBeRepeated()
    {
        _store.Write("f/2/x", _ => { });
        _store.DeleteFolder("f");
        _store.DeleteFolder("f");
        Assert.False(_store.Exists("f/2/x"));
    }
}
