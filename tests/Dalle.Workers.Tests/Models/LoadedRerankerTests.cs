using System.Text.Json.Nodes;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Data.Scenes;
using Dalle.Model.Presets;
using Dalle.Model.Reranking;
using Dalle.Tests.Shared;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Generation;
using Dalle.Workers.Models;
using TorchSharp;

namespace Dalle.Workers.Tests.Models;

/// <summary>Published models with a reranker and without one, those of versions that had none among them.</summary>
public sealed class LoadedRerankerTests : IDisposable
{
    private readonly ArtifactStore _store = new(Directory.CreateTempSubdirectory("dalle-reranker-").FullName);

    public void Dispose() => Directory.Delete(_store.Root, recursive: true);

    [Fact]
    public void Reranker_IsAmongTheFilesThatAreSealed_AndIsReadByItsCardsNumbers()
    {
        var preset = Preset.Test with { Name = "gone", Reranker = Preset.Test.Reranker! with { Image = new EncoderShape(1, 16, 1) } };
        var model = PublishedTestModel.Write(_store, "m", preset: preset, reranker: true);

        ModelFolder.Verify(_store, model);
        Assert.Equal(64, model.Files[ModelFolder.Reranker].Length);
        using var reranker = LoadedReranker.Read(_store, model, torch.CPU);
        Assert.Equal(preset.Reranker, reranker!.Network.Config);
        using var loaded = new LoadedModel(_store, model, torch.CPU, threads: 1, new GeneratorOptions());
        Assert.Equal(preset.Reranker, loaded.Config.Reranker);
    }

    [Fact]
    public void Reranker_ThatWasChangedSince_IsRefused()
    {
        var model = PublishedTestModel.Write(_store, "m", reranker: true);
        var path = _store.PathOf($"{model.Path}/{ModelFolder.Reranker}");
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);

        Assert.Contains(ModelFolder.Reranker, Assert.Throws<InvalidDataException>(() => ModelFolder.Verify(_store, model)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Model_WithoutAReranker_HasNone()
    {
        var model = PublishedTestModel.Write(_store, "m");

        Assert.DoesNotContain(ModelFolder.Reranker, model.Files.Keys);
        Assert.Null(LoadedReranker.Read(_store, model, torch.CPU));
    }

    // The preset has one now, but the model was published before it had: with a card that says what it is built from, or with one that does not.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Model_OfAVersionWithoutRerankers_HasNone_AndIsLoaded(bool saysConfig)
    {
        var model = PublishedTestModel.Write(_store, "m");
        var path = _store.PathOf($"{model.Path}/{ModelFolder.Card}");
        var card = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        Assert.True(card["config"]!.AsObject().Remove("reranker"));
        if (!saysConfig)
        {
            card.Remove("config");
        }

        File.WriteAllText(path, card.ToJsonString());

        Assert.Null(LoadedReranker.Read(_store, model, torch.CPU));
        using var loaded = new LoadedModel(_store, model, torch.CPU, threads: 1, new GeneratorOptions());
        Assert.Equal((null, Preset.Test.Transformer), (loaded.Config.Reranker, loaded.Config.Transformer));
    }

    [Fact]
    public void Score_DependsOnPictureAndCaptionAlone()
    {
        using var reranker = LoadedReranker.Read(_store, PublishedTestModel.Write(_store, "m", reranker: true), torch.CPU)!;
        var scenes = new SceneDataset();
        Picture[] pictures = [.. Enumerable.Range(0, 5).Select(scenes.ReadPicture)];

        var together = reranker.Score(pictures, "a red circle");

        Assert.Equal(together, pictures.Select(picture => reranker.Score([picture], "a red circle")[0]));
        Assert.Equal(5, together.Distinct().Count());
        Assert.NotEqual(together, reranker.Score(pictures, "a blue square"));
    }

    // 5 pairs are one batch; the caption that two of them share counts as either's.
    [Fact]
    public void Measure_IsTheMeanScore_AndHowOftenPairsFindEachOther()
    {
        using var reranker = LoadedReranker.Read(_store, PublishedTestModel.Write(_store, "m", reranker: true), torch.CPU)!;
        var scenes = new SceneDataset();
        var pairs = Enumerable.Range(0, 5).Select(i => (Caption: i < 2 ? "a red circle" : scenes.GetCaptions(i)[0], Picture: scenes.ReadPicture(i))).ToArray();

        var scores = reranker.Measure(pairs);

        Assert.Equal(pairs.Average(pair => reranker.Score([pair.Picture], pair.Caption)[0]), scores.Score, 5);
        Assert.Equal((5, 5), (scores.Retrieval.Pairs, scores.Retrieval.BatchSize));
        Assert.InRange(scores.Retrieval.ImageToText, 0, 1);
    }

    [Fact]
    public void Caption_ThatIsTooLong_IsCutOff_AsInTraining()
    {
        using var reranker = LoadedReranker.Read(_store, PublishedTestModel.Write(_store, "m", reranker: true), torch.CPU)!;

        Assert.Equal(Preset.Test.Reranker!.TextLength, reranker.Encode(string.Join(' ', Enumerable.Repeat("zebra", 40))).Count);
    }
}
