using System.Text;
using Dalle.Model.Safetensors;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

/// <summary>Manifests that do not say what a checkpoint's files must be, by accident or by design.</summary>
public sealed class CheckpointSealTests : IDisposable
{
    private const string Stage = "Prior";
    private const string Hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private readonly TemporaryFolder _folder = new();
    private readonly ArrayState _saved = ArrayState.Counted(41);
    private readonly ArrayState _restored = ArrayState.Zero();

    private string Folder => _folder.File("step-41");

    private string Manifest => Path.Combine(Folder, Checkpoint.ManifestFile);

    public void Dispose()
    {
        _folder.Dispose();
        _saved.Dispose();
        _restored.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"stage":"Prior"}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":null}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":{}}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[1]}""")]
    [InlineData("""{"stage":null,"step":41,"files":[]}""")]
    [InlineData("""{"stage":"Prior","step":41.5,"files":[]}""")]
    [InlineData("""{"stage":"Prior","step":41,"step":42,"files":[]}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[{"name":"state-0.safetensors","size":1}]}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[{"name":"state-0.safetensors","size":"many","sha256":"0"}]}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[{"name":"state-0.safetensors","size":99999999999999999999,"sha256":"0"}]}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[{"name":"state-0.safetensors","size":1,"sha256":null}]}""")]
    [InlineData("""{"stage":"Prior","step":41,"files":[{"name":null,"size":1,"sha256":"0"}]}""")]
    public void Read_OfSomethingElse_IsRefused(string manifest) => AssertRefused(manifest, "expected the manifest of a checkpoint, got something else");

    [Fact]
    public void Read_OfAManifestCutOff_IsRefused()
    {
        _saved.Save(Folder, Stage, ordinals: 2);
        var whole = File.ReadAllText(Manifest);

        Assert.All(Enumerable.Range(0, whole.Length), length => AssertRefused(whole[..length], "something else"));
    }

    [Fact]
    public void Read_OfAManifestOfOneFile_AsEarlierVersionsWroteIt_SaysSo() =>
        AssertRefused($$"""{"stage":"Prior","step":41,"size":0,"sha256":"{{Hash}}"}""", "if an earlier version wrote it");

    [Theory]
    [InlineData("../x")]
    [InlineData("../x.safetensors")]
    [InlineData("..\\x.safetensors")]
    [InlineData("sub/x.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("/x.safetensors")]
    [InlineData("C:x.safetensors")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData(".safetensors")]
    [InlineData(".x.safetensors")]
    [InlineData("manifest.json")]
    [InlineData("state-0.safetensors.partial")]
    [InlineData("x")]
    [InlineData("x y.safetensors")]
    [InlineData("x\0.safetensors")]
    [InlineData("x\n.safetensors")]
    [InlineData("\u00e4.safetensors")]
    [InlineData("a123456789b123456789c123456789d123456789e123456789f12.safetensors")]
    public void Read_OfANameThatIsNotPlain_OpensNoFile(string name)
    {
        AssertRefused(Named(Checkpoint.StateFile(0), name), "expected file names");

        Assert.Throws<ArgumentException>(() => Checkpoint.WriteFile(Folder, name, 41, [("t", ones(1))]));
        Assert.Throws<ArgumentException>(() => Checkpoint.Seal(Folder, Stage, 41, [new(Checkpoint.StateFile(0), 0, Hash), new(name, 0, Hash)]));
        Assert.Equal(["manifest.json"], Directory.EnumerateFileSystemEntries(Folder).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("x.safetensors")]
    [InlineData("X.safetensors")]
    public void Read_OfTheSameNameTwice_IsRefused(string again) =>
        AssertRefused(Named("state-0.safetensors", "x.safetensors", again), "twice");

    [Theory]
    [InlineData("state-0.safetensors", "x.safetensors")]
    [InlineData("state-1.safetensors", "state-0.safetensors", "state-2.safetensors")]
    [InlineData("state-1.safetensors", "state-0.safetensors", "state-2147483647.safetensors")]
    [InlineData("state-1.safetensors", "state-0.safetensors", "state-01.safetensors", "state-2.safetensors")]
    public void Read_WithoutAnOrdinalsState_IsRefused(string missing, params string[] names) => AssertRefused(Named(names), $"got no '{missing}'");

    [Theory]
    [InlineData(41, -1, Hash, "the length of 'state-0.safetensors' in bytes, got -1")]
    [InlineData(41, long.MinValue, Hash, "in bytes, got -9223372036854775808")]
    [InlineData(-1, 0, Hash, "step -1")]
    [InlineData(41, 0, "e3b0", "64 lower-case hexadecimal digits")]
    [InlineData(41, 0, "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "64 lower-case hexadecimal digits")]
    public void Read_OfAnImpossibleNumber_IsRefused(int step, long size, string hash, string reason) =>
        AssertRefused($$"""{"stage":"Prior","step":{{step}},"files":[{"name":"state-0.safetensors","size":{{size}},"sha256":"{{hash}}"}]}""", reason);

    [Fact]
    public void Read_OfNullAmongTheFiles_IsRefused() => AssertRefused("""{"stage":"Prior","step":41,"files":[null]}""", "got 'null' as one");

    [Fact]
    public void Read_OfAStageOfManyKilobytes_DoesNotRepeatIt()
    {
        var error = AssertRefused($$"""{"stage":"{{new string('a', 5000)}}","step":41,"files":[]}""", "got a stage of 5000 characters");

        Assert.InRange(error.Message.Length, 0, 500);
    }

    [Fact]
    public void Read_OfAMillionFiles_IsRefusedBeforeAnythingIsRead()
    {
        var manifest = Named([.. Enumerable.Range(0, 1_000_000).Select(Checkpoint.StateFile)]);
        Directory.CreateDirectory(Folder);
        File.WriteAllText(Manifest, manifest);
        var before = GC.GetAllocatedBytesForCurrentThread();

        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Open(Folder, Stage).Dispose());

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains("of at most 16777216 bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfTooManyFilesInFewBytes_IsRefused()
    {
        var few = string.Join(",", Enumerable.Repeat("""{"name":"x","size":1,"sha256":"0"}""", 65_537));

        AssertRefused($$"""{"stage":"Prior","step":41,"files":[{{few}}]}""", "at most 65536 files, got 65537");
    }

    [Fact]
    public void Read_OfTheMostFilesWithTheLongestNames_LetsThemThrough()
    {
        var longest = Enumerable.Range(0, CheckpointSeal.MaxFiles - 1).Select(i => new CheckpointFile($"{i:d52}.safetensors", long.MaxValue, Hash));
        CheckpointFile[] files = [.. longest, new(Checkpoint.StateFile(0), 0, Hash)];
        new CheckpointSeal { Stage = Stage, Step = int.MaxValue, Files = files }.Write(Manifest);

        Assert.Equal(files, CheckpointSeal.Read(Manifest).Files);
    }

    [Fact]
    public void Seal_OfFilesThatAreNotThere_IsRefused_AndThereIsNoCheckpoint()
    {
        var elsewhere = _saved.Write(_folder.File("elsewhere"), ordinal: 1, ordinals: 2);
        var here = _saved.Write(Folder, ordinal: 0, ordinals: 2);

        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Seal(Folder, Stage, 41, [here, elsewhere]));

        Assert.Equal(Path.Combine(Folder, "state-1.safetensors"), error.Path);
        Assert.Contains("must share", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Manifest));
    }

    [Fact]
    public void Seal_WithoutAnOrdinal_IsRefused()
    {
        var file = _saved.Write(Folder, ordinal: 1, ordinals: 2);

        Assert.Contains("'state-0.safetensors'", Assert.Throws<ArgumentException>(() => Checkpoint.Seal(Folder, Stage, 41, [file])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Checkpoint.Seal(Folder, Stage, 41, []));
        Assert.False(File.Exists(Manifest));
    }

    private static string Named(params string[] names)
    {
        var files = new StringBuilder();
        foreach (var name in names)
        {
            files.Append(files.Length == 0 ? "" : ",").Append($$"""{"name":{{System.Text.Json.JsonSerializer.Serialize(name)}},"size":0,"sha256":"{{Hash}}"}""");
        }

        return $$"""{"stage":"Prior","step":41,"files":[{{files}}]}""";
    }

    private SafetensorsException AssertRefused(string manifest, string reason)
    {
        Directory.CreateDirectory(Folder);
        File.WriteAllText(Manifest, manifest);

        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Restore(Folder, Stage, _restored));

        Assert.Equal(Manifest, error.Path);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.False(_restored.WasRestored);
        _restored.AssertZero();
        return error;
    }
}
