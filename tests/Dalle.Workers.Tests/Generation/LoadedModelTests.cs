using System.Text.Json.Nodes;
using Dalle.Contracts.Models;
using Dalle.Model.Presets;
using Dalle.Model.Sampling;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Generation;
using Dalle.Workers.Models;
using TorchSharp;

namespace Dalle.Workers.Tests.Generation;

/// <summary>A published model is what its card says, whatever has become of its preset.</summary>
public sealed class LoadedModelTests : IDisposable
{
    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-card-").FullName);

    public void Dispose() => Directory.Delete(_store.Root, recursive: true);

    [Fact]
    public void Model_OfThePresetsName_ButOtherGains_IsBuiltWithItsOwn()
    {
        var preset = Preset.Test with { DiscreteVae = Preset.Test.DiscreteVae with { CodeGain = 7 } };

        using var ordinary = Load(PublishedTestModel.Write(_store, "ordinary"));
        using var same = Load(PublishedTestModel.Write(_store, "same"));
        using var louder = Load(PublishedTestModel.Write(_store, "louder", preset: preset));

        Assert.Equal(7, louder.Config.DiscreteVae.CodeGain);
        Assert.Equal(Pixels(ordinary), Pixels(same));
        Assert.NotEqual(Pixels(ordinary), Pixels(louder));
    }

    [Fact]
    public void Model_OfAPresetThatIsGone_OfOtherShapes_IsLoaded()
    {
        var preset = Preset.Test with
        {
            Name = "gone",
            DiscreteVae = Preset.Test.DiscreteVae with { CodeWidth = 8 },
            Transformer = Preset.Test.Transformer with { Layers = 2 },
            Sampling = new SamplingSettings(TopK: 5),
        };

        using var model = Load(PublishedTestModel.Write(_store, "m", preset: preset));

        Assert.Equal((preset.Transformer, preset.Sampling), (model.Config.Transformer, model.Config.Sampling));
        Assert.Equal(32, model.Decode(new int[16]).Width);
    }

    [Fact]
    public void Card_WrittenBeforeItSaidSo_MeansThePresetAsItIsNow()
    {
        var manifest = PublishedTestModel.Write(_store, "m");
        Change(manifest, card => card.Remove("config"));

        using var model = Load(manifest);

        Assert.Equal(ModelConfig.Of(Preset.Test), model.Config);
    }

    [Fact]
    public void Card_WithNumbersThatMakeNoNetwork_IsRefused()
    {
        var manifest = PublishedTestModel.Write(_store, "m");
        Change(manifest, card => card["config"]!["transformer"]!["heads"] = 5);

        Assert.Contains("5 heads", Assert.Throws<ArgumentException>(() => Load(manifest)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Card_WithoutSamplingSettings_IsRefused()
    {
        var manifest = PublishedTestModel.Write(_store, "m");
        Change(manifest, card => card["config"]!.AsObject().Remove("sampling"));

        var error = Assert.Throws<InvalidDataException>(() => Load(manifest));

        Assert.StartsWith("'models/m/model.json' is damaged or of another version:", error.Message);
        Assert.Contains("sampling", error.Message, StringComparison.Ordinal);
    }

    private static byte[] Pixels(LoadedModel model) => model.Decode([.. Enumerable.Range(0, 16)]).Rgb;

    private LoadedModel Load(ModelManifest manifest) => new(_store, manifest, torch.CPU, threads: 1, new());

    private void Change(ModelManifest manifest, Action<JsonObject> change)
    {
        var path = _store.PathOf($"{manifest.Path}/{ModelFolder.Card}");
        var card = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(card);
        File.WriteAllText(path, card.ToJsonString());
    }
}
