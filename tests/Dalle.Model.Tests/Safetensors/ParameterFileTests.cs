using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Safetensors;

public sealed class ParameterFileTests : IDisposable
{
    private static readonly ParameterSpec[] Specs =
    [
        new("b", ParameterKind.Bias, 0, 1, 3),
        new("w", ParameterKind.Weight, 0, 1, 3, 2),
    ];

    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("weights.safetensors");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_AfterSave_RestoresMastersAndComputeCopies()
    {
        using var scope = NewDisposeScope();
        using var saved = Store(Precision.BFloat16, seed: 1);
        using var loaded = Store(Precision.BFloat16, seed: 2);

        ParameterFile.Save(Path, saved, new Dictionary<string, string> { ["preset"] = "tiny" });
        var metadata = ParameterFile.Load(Path, loaded);

        Assert.Equal("tiny", metadata["preset"]);
        Assert.Equal(saved.Master.bytes.ToArray(), loaded.Master.bytes.ToArray());
        Assert.Equal(saved["w"].bytes.ToArray(), loaded["w"].bytes.ToArray());
    }

    [Fact]
    public void Load_IntoAnotherPrecision_KeepsTheMasters()
    {
        using var saved = Store(Precision.BFloat16, seed: 1);
        using var loaded = Store(Precision.Float32, seed: 2);

        ParameterFile.Save(Path, saved);
        ParameterFile.Load(Path, loaded);

        Assert.Equal(saved.Master.bytes.ToArray(), loaded.Master.bytes.ToArray());
    }

    [Fact]
    public void Load_FromAnotherNetwork_SaysWhatDiffersAndChangesNothing()
    {
        using var saved = Store(Precision.Float32, seed: 1);
        using var other = new ParameterStore([new("w", ParameterKind.Weight, 0, 1, 2, 3), new("gain", ParameterKind.Gain, 1, 0, 3)], Precision.Float32, CPU, trains: false);
        ParameterFile.Save(Path, saved);

        var error = Assert.Throws<SafetensorsException>(() => ParameterFile.Load(Path, other));

        Assert.All(["'gain'", "'b'", "[3, 2]", "[2, 3]"], part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
        Assert.All(other.Master.data<float>().ToArray(), value => Assert.Equal(0, value));
    }

    [Fact]
    public void SaveAndLoad_LeaveNoTensorsBehind()
    {
        using var store = Store(Precision.Float32, seed: 1);
        ParameterFile.Save(Path, store);
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        ParameterFile.Save(Path, store);
        ParameterFile.Load(Path, store);

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Checkpoint_Restored_HasTheSameStateAndStep()
    {
        using var scope = NewDisposeScope();
        var saved = new CountingState { Step = 41, Values = ones(3) };
        var restored = new CountingState { Values = zeros(3) };

        Checkpoint.Save(Path, saved, new Dictionary<string, string> { ["job"] = "a" });
        var metadata = Checkpoint.Restore(Path, restored);

        Assert.Equal("a", metadata["job"]);
        Assert.Equal(41, restored.Step);
        Assert.True(restored.WasRestored);
        Assert.Equal([1, 1, 1], restored.Values.data<float>().ToArray());
    }

    [Fact]
    public void Checkpoint_OfAPlainWeightsFile_IsRefused()
    {
        using var scope = NewDisposeScope();
        SafetensorsFile.Write(Path, [("values", ones(3))]);

        Assert.Contains("'step'", Assert.Throws<SafetensorsException>(() => Checkpoint.Restore(Path, new CountingState { Values = zeros(3) })).Message, StringComparison.Ordinal);
    }

    private static ParameterStore Store(Precision precision, ulong seed)
    {
        var store = new ParameterStore(Specs, precision, CPU, trains: false);
        store.Initialize(seed);
        return store;
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
