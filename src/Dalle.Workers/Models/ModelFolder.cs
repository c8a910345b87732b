using System.Security.Cryptography;
using Dalle.Contracts.Models;
using Dalle.Data.Tokenization;
using Dalle.Model.Presets;
using Dalle.Workers.Artifacts;

namespace Dalle.Workers.Models;

/// <summary>The files of a published model, in a folder of their own.</summary>
public static class ModelFolder
{
    /// <summary>Averaged weights of the discrete VAE.</summary>
    public const string DiscreteVae = "dvae.safetensors";

    /// <summary>Averaged weights of the prior.</summary>
    public const string Prior = "prior.safetensors";

    /// <summary>Averaged weights of the reranker, in models that have one.</summary>
    public const string Reranker = "reranker.safetensors";

    /// <summary>What the files do not say of themselves: name, preset and figures, and what the model is built from, as JSON.</summary>
    public const string Card = "model.json";

    /// <summary>The files of a model, the card last.</summary>
    public static IReadOnlyList<string> FilesOf(ModelConfig config) =>
        [DiscreteVae, Prior, .. (string[])(config.Reranker is null ? [] : [Reranker]), BpeVocabulary.TokensFile, BpeVocabulary.MergesFile, Card];

    /// <summary>Writes the card, and makes the manifest of the folder as it then is: with the SHA-256 of every file.</summary>
    /// <param name="store">Where the folder is.</param>
    /// <param name="model">The model; its files are filled in here.</param>
    /// <param name="config">What it is built from.</param>
    public static ModelManifest Seal(ArtifactStore store, ModelManifest model, ModelConfig config)
    {
        store.WriteJson($"{model.Path}/{Card}", new ModelCard { Name = model.Name, Preset = model.Preset, JobId = model.JobId, Metrics = model.Metrics, Config = config });
        return model with { Files = FilesOf(config).ToDictionary(file => file, file => Hash(store, $"{model.Path}/{file}")) };
    }

    /// <summary>Lets a folder through whose files are those that were published.</summary>
    /// <exception cref="InvalidDataException">A file is missing or has changed; the message names it.</exception>
    public static void Verify(ArtifactStore store, ModelManifest model)
    {
        foreach (var (file, published) in model.Files)
        {
            var key = $"{model.Path}/{file}";
            var found = store.Exists(key) ? Hash(store, key) : "no file";
            if (found != published)
            {
                throw new InvalidDataException($"Model '{model.Name}': '{store.PathOf(key)}' was published with SHA-256 {published}, but has {found}. Publish or import the model again.");
            }
        }
    }

    /// <summary>What a model is built from: what its card says, or its preset as it is now where a card was written before cards said so.</summary>
    /// <exception cref="InvalidDataException">The card is damaged, or has numbers that this version does not know.</exception>
    /// <exception cref="ArgumentException">The numbers make no network, or an old card's preset is no longer there.</exception>
    public static ModelConfig ReadConfig(ArtifactStore store, ModelManifest model)
    {
        var card = store.ReadJson<ModelCard>($"{model.Path}/{Card}", "Publish or import the model again.");
        var config = card.Config ?? ModelConfig.Of(Preset.Find(card.Preset));
        config.DiscreteVae.Validate();
        config.Transformer.Validate();
        config.Reranker?.Validate();
        config.Sampling.Validate();
        return config;
    }

    private static string Hash(ArtifactStore store, string key)
    {
        using var stream = store.Open(key);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
