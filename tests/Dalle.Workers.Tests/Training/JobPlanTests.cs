using System.Text.Json.Nodes;
using Dalle.Contracts.Training;
using Dalle.Data.Scenes;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Training;
using TorchSharp;

namespace Dalle.Workers.Tests.Training;

/// <summary>A job keeps its numbers and its dataset to its end, wherever and with whatever version it goes on.</summary>
public sealed class JobPlanTests : IDisposable
{
    private const string File = "jobs/j/job.json";

    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-plan-").FullName);
    private readonly DeviceThread _device = new(torch.CPU, threads: 1);
    private readonly StageRun _run = new(new("j", TrainingStage.DiscreteVae, 1, "0/0"));

    public static TheoryData<string> Presets => [.. Preset.All.Select(preset => preset.Name)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _run.Dispose();
        _device.Dispose();
        Directory.Delete(_store.Root, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void EveryPreset_IsReadBackAsItWas(string name)
    {
        var preset = Preset.Find(name);
        Context(preset: name).KeepPlan(new SceneDataset());

        var kept = Context(preset: name).Preset;

        // A list is equal to itself alone, and the default gain is written as a number.
        Assert.Equal(preset, kept with { DiscreteVae = preset.DiscreteVae });
        Assert.Equivalent(preset.DiscreteVae, kept.DiscreteVae, strict: true);
    }

    [Fact]
    public void FirstStage_DecidesPrecisionByItsDevice()
    {
        Context().KeepPlan(new SceneDataset());

        Assert.Equal(Precision.BFloat16.On(DeviceType.CPU), Context().DiscreteVaeTraining.Precision);
        Assert.Equal(Precision.BFloat16.On(DeviceType.CPU), Context().PriorTraining.Precision);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void JobOfAnotherProcessor_KeepsThePrecisionDecidedThere(Precision elsewhere)
    {
        Keep(plan => plan["halfPrecision"] = elsewhere.ToString());

        Context().KeepPlan(new SceneDataset());

        Assert.Equal(elsewhere, Context().DiscreteVaeTraining.Precision);
        Assert.Equal(elsewhere, Context().PriorTraining.Precision);
    }

    [Fact]
    public void JobOfAnotherVersion_KeepsTheNumbersOfItsPreset()
    {
        Keep(plan =>
        {
            plan["preset"]!["discreteVae"]!["codeGain"] = 3.25;
            plan["preset"]!["discreteVaeTraining"]!["updates"] = 7;
            plan["preset"]!["priorTraining"]!["updates"] = 9;
            plan["preset"]!["sampling"]!["topP"] = 0.5;
        });

        var context = Context(preset: "one-that-is-gone");

        Assert.Equal((3.25, 0.5), (context.Preset.DiscreteVae.CodeGain, context.Preset.Sampling.TopP));
        Assert.Equal((7, 9), (context.DiscreteVaeTraining.Updates, context.PriorTraining.Updates));
    }

    [Fact]
    public void Spec_DecidesUpdates_OverThePresetAsItWas()
    {
        Keep(plan => plan["preset"]!["discreteVaeTraining"]!["learningRate"]!["over"] = 100);

        var context = Context(spec => spec with { DiscreteVaeUpdates = 400, PriorUpdates = 5 });

        Assert.Equal((400, 200), (context.DiscreteVaeTraining.Updates, context.DiscreteVaeTraining.LearningRate.Over));
        Assert.Equal(5, context.PriorTraining.Updates);
    }

    [Fact]
    public void Spec_DecidesWhetherThereIsAReranker_AndItsUpdates()
    {
        Keep(_ => { });

        Assert.Equal(Preset.Test.RerankerTraining!.Updates, Context().RerankerTraining!.Updates);
        Assert.Equal(Preset.Test.RerankerTraining.WithUpdates(80) with { Precision = Precision.BFloat16.On(DeviceType.CPU) }, Context(spec => spec with { RerankerUpdates = 80 }).RerankerTraining);
        Assert.Null(Context(spec => spec with { RerankerUpdates = 0 }).RerankerTraining);
    }

    [Fact]
    public void JobOfAVersionWithoutRerankers_GoesOnWithoutOne()
    {
        Keep(plan =>
        {
            plan["preset"]!.AsObject().Remove("reranker");
            plan["preset"]!.AsObject().Remove("rerankerTraining");
        });

        Assert.Null(Context().RerankerTraining);
        Context().Preset.Validate();
    }

    [Fact]
    public void JobWithoutAPlan_GoesOnWithThePresetAsItIsNow_OnAnyDataset()
    {
        Assert.Equal(Preset.Test, Context().Preset);
        Context().OpenDataset().Dispose();
    }

    [Fact]
    public void SameDataset_IsOpened_AndAnotherIsRefused()
    {
        Keep(_ => { });
        Context().OpenDataset().Dispose();
        Keep(plan => plan["datasetFingerprint"] = "sha256:other");

        var error = Assert.Throws<InvalidDataException>(() => Context().OpenDataset());

        Assert.Equal(
            $"Dataset 'scenes' is not the one that the job began with: expected sha256:other, got {new SceneDataset().Fingerprint}. Put the old one back and resume the job, or start a new one.",
            error.Message);
    }

    [Fact]
    public void DamagedPlan_IsNamed()
    {
        _store.Write(File, stream => stream.Write("{\"preset\""u8));

        var error = Assert.Throws<InvalidDataException>(() => Context());

        Assert.StartsWith($"'{File}' is damaged or of another version:", error.Message);
        Assert.EndsWith("Start a new job.", error.Message);
    }

    [Theory]
    [InlineData("widthOfTheFuture", null)]
    [InlineData(null, "beta1")]
    public void NumberTooManyOrTooFew_IsNamed_NotMadeUp(string? added, string? removed)
    {
        Keep(plan =>
        {
            var optimizer = plan["preset"]!["priorTraining"]!["optimizer"]!.AsObject();
            if (added is not null)
            {
                optimizer[added] = 1;
            }

            optimizer.Remove(removed ?? "");
        });

        var error = Assert.Throws<InvalidDataException>(() => Context());

        Assert.Contains((added ?? removed)!, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prepare_OfAPresetBeyondTheMachinesMemory_IsRefused_AndKeepsNoPlan()
    {
        var prepare = new PrepareStage { AvailableMemory = () => 24_000_000_000 };

        var error = await Assert.ThrowsAsync<InvalidDataException>(() => prepare.Run(Context(preset: "dalle-12b"), Token));

        Assert.Equal(
            "Preset 'dalle-12b' needs at least 246.7 GB of memory to train 1 of 1 shards on 2 threads, and there are 24.0 GB here. Choose a smaller preset or a larger machine, or more shards and a silo for each.", error.Message);
        Assert.False(_store.Exists(File));
    }

    [Theory]
    [InlineData(2, 4, true)]
    [InlineData(3, 3, false)]
    public async Task Prepare_OfMoreWorkersThanABatchHasRows_IsRefused(int replicas, int shards, bool fits)
    {
        var context = Context(spec => spec with { Replicas = replicas, Shards = shards });
        var refused = await Record.ExceptionAsync(() => new PrepareStage().Run(context, Token));

        Assert.Equal(
            fits ? null : "Preset 'test' has batches of 8, which 3 x 3 workers cannot share. Ask for at most 8 workers, replicas times shards.", refused?.Message);
    }

    [Fact]
    public async Task Prepare_OfAPresetThatFits_KeepsThePlan()
    {
        var need = (long)TrainingStages.InOrder.Where(stage => stage.Trains()).Max(stage => TrainingMemory.Need(Preset.Test, stage, threads: 2));

        await new PrepareStage { AvailableMemory = () => need }.Run(Context(), Token);

        Assert.True(_store.Exists(File));
    }

    /// <summary>Keeps the plan of a job of the test preset, changed.</summary>
    private void Keep(Action<JsonObject> change)
    {
        _store.DeleteFolder("jobs/j");
        Context().KeepPlan(new SceneDataset());
        using var kept = _store.Open(File);
        var plan = JsonNode.Parse(kept)!.AsObject();
        change(plan);
        _store.Write(File, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(plan.ToJsonString())));
    }

    private StageContext Context(Func<TrainingSpec, TrainingSpec>? change = null, string preset = "test")
    {
        var spec = new TrainingSpec { Preset = preset, Dataset = "scenes", Model = "m" };
        spec = change?.Invoke(spec) ?? spec;
        return new(new() { Epoch = 1, Stage = TrainingStage.Prepare, Spec = spec, Placement = SingleHost.Placement(spec.Replicas, spec.Shards) }, SingleHost.Key("j"), new JobFolder(_store, "j"), SingleHost.Shards("j"), _device, SingleHost.Instruments, TimeProvider.System, _run);
    }
}
