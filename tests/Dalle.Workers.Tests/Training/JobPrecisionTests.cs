using System.Text;
using Dalle.Contracts.Training;
using Dalle.Model.Parameters;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Training;
using TorchSharp;

namespace Dalle.Workers.Tests.Training;

/// <summary>A job computes in one precision to its end, wherever it goes on.</summary>
public sealed class JobPrecisionTests : IDisposable
{
    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-precision-").FullName);
    private readonly DeviceThread _device = new(torch.CPU, threads: 1);
    private readonly StageRun _run = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _run.Dispose();
        _device.Dispose();
        Directory.Delete(_store.Root, recursive: true);
    }

    [Fact]
    public async Task FirstStage_DecidesByItsDevice()
    {
        await Context().DecidePrecision(Token);

        Assert.Equal(Precision.BFloat16.On(DeviceType.CPU), Context().DiscreteVaeTraining.Precision);
        Assert.Equal(Precision.BFloat16.On(DeviceType.CPU), Context().PriorTraining.Precision);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public async Task JobOfAnotherProcessor_KeepsWhatWasDecidedThere(Precision elsewhere)
    {
        _store.Write("jobs/j/precision.json", stream => stream.Write(Encoding.UTF8.GetBytes($"\"{elsewhere}\"")));

        await Context().DecidePrecision(Token);

        Assert.Equal(elsewhere, Context().DiscreteVaeTraining.Precision);
        Assert.Equal(elsewhere, Context().PriorTraining.Precision);
    }

    [Fact]
    public void DamagedDecision_IsNamed()
    {
        _store.Write("jobs/j/precision.json", stream => stream.Write("\"BFloat"u8));

        var error = Assert.Throws<InvalidDataException>(() => Context().PriorTraining);

        Assert.StartsWith("'jobs/j/precision.json' is damaged:", error.Message);
        Assert.EndsWith("Start a new job.", error.Message);
    }

    private StageContext Context() => new(
        new() { Epoch = 1, Stage = TrainingStage.Prepare, Spec = new() { Preset = "test", Dataset = "scenes", Model = "m" } },
        "j", new JobFolder(_store, "j"), _device, TimeProvider.System, _run);
}
