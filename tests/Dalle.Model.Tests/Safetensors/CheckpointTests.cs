using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Dalle.Model.Safetensors;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

public sealed class CheckpointTests : IDisposable
{
    private const string Stage = "Prior";

    private readonly TemporaryFolder _folder = new();
    private readonly CountingState _saved = new() { Step = 41, Values = ones(1000) };
    private readonly CountingState _restored = new() { Values = zeros(1000) };

    private string Folder => _folder.File("step-41");

    private string State => Path.Combine(Folder, Checkpoint.StateFile(0));

    private string Manifest => Path.Combine(Folder, Checkpoint.ManifestFile);

    public void Dispose()
    {
        _folder.Dispose();
        _saved.Values.Dispose();
        _restored.Values.Dispose();
    }

    [Fact]
    public void Restore_AfterSave_HasTheSameStateAndStep()
    {
        Checkpoint.Save(Folder, Stage, _saved);
        Checkpoint.Restore(Folder, Stage, _restored);

        Assert.Equal((41, true), (_restored.Step, _restored.WasRestored));
        Assert.All(_restored.Values.data<float>().ToArray(), value => Assert.Equal(1, value));
    }

    [Fact]
    public void Save_LeavesAManifestThatNamesTheBytes_AndNothingElse()
    {
        Checkpoint.Save(Folder, Stage, _saved);

        Assert.Equal([Manifest, State], Directory.GetFiles(Folder).Order(StringComparer.Ordinal));
        var manifest = JsonNode.Parse(File.ReadAllBytes(Manifest))!;
        var state = File.ReadAllBytes(State);
        Assert.Equal((Stage, 41), ((string?)manifest["stage"], (int?)manifest["step"]));
        var file = Assert.Single(manifest["files"]!.AsArray())!;
        Assert.Equal(("state-0.safetensors", state.Length), ((string?)file["name"], (int?)file["size"]));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(state)), (string?)file["sha256"]);
    }

    [Fact]
    public void Save_OverAnother_ReplacesIt()
    {
        Checkpoint.Save(Folder, Stage, _restored);
        Checkpoint.Save(Folder, Stage, _saved);
        Checkpoint.Restore(Folder, Stage, _restored);

        Assert.Equal(41, _restored.Step);
    }

    [Fact]
    public void Restore_OfOneByteThatDiffers_IsRefused() => AssertRefused(() =>
    {
        using var stream = new FileStream(State, FileMode.Open);
        stream.Position = stream.Length / 2;
        var old = stream.ReadByte();
        stream.Position--;
        stream.WriteByte((byte)(old ^ 1));
    }, State, "altered");

    [Fact]
    public void Restore_OfAStateCutOff_IsRefused() => AssertRefused(() =>
    {
        using var stream = new FileStream(State, FileMode.Open);
        stream.SetLength(stream.Length - 1);
    }, State, "bytes, got");

    [Fact]
    public void Restore_WithoutAState_IsRefused() => AssertRefused(() => File.Delete(State), State, "got no file");

    [Fact]
    public void Restore_WithoutAManifest_IsRefused() => AssertRefused(() => File.Delete(Manifest), Manifest, "not written to its end");

    [Fact]
    public void Restore_OfAManifestWithAnotherStep_IsRefused() =>
        AssertRefused(() => File.WriteAllText(Manifest, File.ReadAllText(Manifest).Replace("\"step\": 41", "\"step\": 42", StringComparison.Ordinal)), State, "of 42, got '41'");

    [Fact]
    public void Restore_OfAnotherStage_IsRefused() =>
        AssertRefused(() => File.WriteAllText(Manifest, File.ReadAllText(Manifest).Replace(Stage, "Encode", StringComparison.Ordinal)), Manifest, "got one of 'Encode'");

    private void AssertRefused(Action damage, string file, string reason)
    {
        Checkpoint.Save(Folder, Stage, _saved);
        damage();

        var error = Assert.Throws<SafetensorsException>(() => Checkpoint.Restore(Folder, Stage, _restored));

        Assert.Equal(file, error.Path);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal((0, false), (_restored.Step, _restored.WasRestored));
        Assert.All(_restored.Values.data<float>().ToArray(), value => Assert.Equal(0, value));
    }

    private sealed class CountingState : ICheckpointed
    {
        public int Step { get; set; }

        public required Tensor Values { get; init; }

        public bool WasRestored { get; private set; }

        public IEnumerable<(string Name, Tensor Tensor)> NamedState() => [("values", Values)];

        public void OnRestored() => WasRestored = true;
    }
}
