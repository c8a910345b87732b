using Dalle.Data.Datasets;
using Dalle.Data.Sources;
using Dalle.Data.Tests.Sources;

namespace Dalle.Data.Tests.Datasets;

public sealed class StagingFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Target => _folder["sub/dataset"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Publish_PutsTheFolderInItsPlace_AndLeavesNothingElse()
    {
        Publish("one");

        Assert.Equal("one", Manifest);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder["sub"]));
    }

    [Fact]
    public void Dispose_Unpublished_LeavesNothing()
    {
        using (var staging = StagingFolder.Open(Target, replace: false))
        {
            staging.Write("train-00000.tar", "half"u8.ToArray());
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder["sub"]));
    }

    [Fact]
    public void Open_WhileAnotherIsOpen_IsRefused_AndDisturbsNothing()
    {
        using (var first = StagingFolder.Open(Target, replace: false))
        {
            first.Write(DatasetManifest.FileName, "first"u8.ToArray());
            Assert.Contains("is running", Refused(replace: false), StringComparison.Ordinal);
            first.Publish();
        }

        Assert.Equal("first", Manifest);
        Publish("second", replace: true);
        Assert.Equal("second", Manifest);
    }

    [Fact]
    public void Open_OfAFolderWithADataset_IsRefusedUnlessReplaced()
    {
        Publish("one");
        Assert.Contains("--replace", Refused(replace: false), StringComparison.Ordinal);
        Assert.Equal("one", Manifest);
    }

    [Fact]
    public void Open_OfAFileOrOfAnotherFolder_IsRefusedEvenWithReplace()
    {
        _folder.Write("sub/dataset", "a file");
        Assert.Contains("it is not a dataset", Refused(replace: true), StringComparison.Ordinal);
        File.Delete(Target);
        _folder.Write("sub/dataset/letter.txt", "Dear");
        Assert.Contains("it is not a dataset", Refused(replace: true), StringComparison.Ordinal);
        Assert.True(File.Exists(_folder["sub/dataset/letter.txt"]));
    }

    [Fact]
    public void Open_OfADatasetWithSomebodysFileInIt_IsRefused()
    {
        Publish("one");
        _folder.Write("sub/dataset/notes.txt", "mine");
        Assert.Contains("'notes.txt'", Refused(replace: true), StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(_folder["sub/dataset/notes.txt"]));
    }

    [Theory]
    [InlineData("importing")]
    [InlineData("replaced")]
    public void Open_NextToSomebodysFolderOfTheSameName_DoesNotDeleteIt(string ending)
    {
        Publish("one");
        _folder.Write($"sub/dataset.{ending}/mine.txt", "mine");
        Assert.Contains("'mine.txt'", Refused(replace: true), StringComparison.Ordinal);
        Assert.True(File.Exists(_folder[$"sub/dataset.{ending}/mine.txt"]));
    }

    [Fact]
    public void Open_OfAnEmptyFolder_FillsIt()
    {
        Directory.CreateDirectory(Target);
        // An empty folder is replaced as a whole.
        Publish("one");
        Assert.Equal("one", Manifest);
    }

    [Fact]
    public void Open_AfterAReplacementThatWasBrokenOff_BringsTheOldDatasetBack()
    {
        Publish("old");
        Directory.Move(Target, Target + ".replaced");
        _folder.Write("sub/dataset.importing/train-00000.tar", "left by a crash");

        Assert.Contains("--replace", Refused(replace: false), StringComparison.Ordinal);
        Assert.Equal("old", Manifest);
        Publish("new", replace: true);
        Assert.Equal("new", Manifest);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder["sub"]));
    }

    [Fact]
    public void Open_AfterAReplacementThatDidNotCleanUp_CleansUp()
    {
        Publish("new");
        _folder.Write("sub/dataset.replaced/manifest.json", "old");
        Publish("newer", replace: true);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder["sub"]));
    }

    private string Manifest => File.ReadAllText(Path.Combine(Target, DatasetManifest.FileName));

    private string Refused(bool replace) => Assert.Throws<SourceException>(() => StagingFolder.Open(Target, replace).Dispose()).Message;

    private void Publish(string content, bool replace = false)
    {
        using var staging = StagingFolder.Open(Target, replace);
        staging.Write(DatasetManifest.FileName, System.Text.Encoding.UTF8.GetBytes(content));
        staging.Publish();
    }
}
