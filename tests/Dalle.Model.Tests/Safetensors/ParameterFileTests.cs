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

    private static ParameterStore Store(Precision precision, ulong seed)
    {
        var store = new ParameterStore(Specs, precision, CPU, trains: false);
        store.Initialize(seed);
        return store;
    }
}
