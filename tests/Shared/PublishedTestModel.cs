using Dalle.Contracts.Models;
using Dalle.Data.Tokenization;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Safetensors;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;
using static TorchSharp.torch;
using Vae = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Tests.Shared;

/// <summary>A whole model of the test preset with weights as they are drawn at first: it knows nothing, but everything works with it.</summary>
internal static class PublishedTestModel
{
    /// <summary>Writes the model's files and returns its manifest.</summary>
    /// <param name="store">Where they go.</param>
    /// <param name="name">The model's name.</param>
    /// <param name="seed">Decides its weights.</param>
    /// <param name="preset">What it is built from; null for the test preset.</param>
    /// <param name="reranker">Whether it has the preset's reranker.</param>
    public static ModelManifest Write(ArtifactStore store, string name, ulong seed = 1, Preset? preset = null, bool reranker = false)
    {
        preset ??= Preset.Test;
        var path = $"models/{name}";
        WriteWeights(store.PathOf($"{path}/{ModelFolder.DiscreteVae}"), Vae.Declare(preset.DiscreteVae), seed);
        WriteWeights(store.PathOf($"{path}/{ModelFolder.Prior}"), TransformerParameters.Declare(preset.Transformer), seed);
        var config = ModelConfig.Of(preset) with { Reranker = reranker ? preset.Reranker : null };
        if (config.Reranker is not null)
        {
            WriteWeights(store.PathOf($"{path}/{ModelFolder.Reranker}"), RerankerParameters.Declare(config.Reranker), seed);
        }

        var vocabulary = BpeTrainer.Train(["a red circle", "a blue square", "a green cross"], preset.TokenizerVocabulary);
        store.Write($"{path}/{BpeVocabulary.TokensFile}", vocabulary.WriteTokens);
        store.Write($"{path}/{BpeVocabulary.MergesFile}", vocabulary.WriteMerges);
        var manifest = new ModelManifest
        {
            Name = name,
            Preset = preset.Name,
            Path = path,
            Published = DateTimeOffset.UnixEpoch,
            ImageSize = preset.DiscreteVae.ImageSize,
            GridSize = preset.DiscreteVae.GridSize,
            Parameters = 1,
        };
        return ModelFolder.Seal(store, manifest, config);
    }

    private static void WriteWeights(string path, IReadOnlyList<ParameterSpec> specs, ulong seed)
    {
        using var parameters = new ParameterStore(specs, Precision.Float32, CPU, trains: false);
        parameters.Initialize(seed);
        ParameterFile.Save(path, parameters);
    }
}
