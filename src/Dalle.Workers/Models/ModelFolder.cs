using System.Security.Cryptography;
using System.Text.Json;
using Dalle.Contracts.Models;
using Dalle.Data.Tokenization;
using Dalle.Workers.Artifacts;

namespace Dalle.Workers.Models;

/// <summary>The files of a published model, in a folder of their own.</summary>
public static class ModelFolder
{
    /// <summary>Averaged weights of the discrete VAE.</summary>
    public const string DiscreteVae = "dvae.safetensors";

    /// <summary>Averaged weights of the prior.</summary>
    public const string Prior = "prior.safetensors";

    /// <summary>What the files do not say of themselves: name, preset and figures, as JSON.</summary>
    public const string Card = "model.json";

    private static readonly JsonSerializerOptions Readable = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>All files, the card last.</summary>
    public static IReadOnlyList<string> Files { get; } = [DiscreteVae, Prior, BpeVocabulary.TokensFile, BpeVocabulary.MergesFile, Card];

    /// <summary>Writes the card, and makes the manifest of the folder as it then is: with the SHA-256 of every file.</summary>
    /// <param name="store">Where the folder is.</param>
    /// <param name="model">The model; its files are filled in here.</param>
    public static ModelManifest Seal(ArtifactStore store, ModelManifest model)
    {
        store.Write($"{model.Path}/{Card}", stream => JsonSerializer.Serialize(stream, new { model.Name, model.Preset, model.JobId, model.Metrics }, Readable));
        return model with { Files = Files.ToDictionary(file => file, file => Hash(store, $"{model.Path}/{file}")) };
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

    private static string Hash(ArtifactStore store, string key)
    {
        using var stream = store.Open(key);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
