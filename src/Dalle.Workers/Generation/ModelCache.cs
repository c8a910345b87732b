using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Models;

namespace Dalle.Workers.Generation;

/// <summary>The models in memory, the one used last in front.</summary>
/// <remarks>Used by one caller at a time.</remarks>
internal sealed class ModelCache(ArtifactStore store, DeviceThread device, int capacity)
{
    private readonly LinkedList<(string Key, LoadedModel Model)> _models = new();

    /// <summary>The model, loaded and checked against the hashes it was published with if it is not in memory.</summary>
    /// <exception cref="GenerationFailedException">Its files are missing, damaged, or not those that were published.</exception>
    public async Task<LoadedModel> Get(ModelManifest manifest)
    {
        var key = Key(manifest);
        for (var node = _models.First; node is not null; node = node.Next)
        {
            if (node.Value.Key == key)
            {
                _models.Remove(node);
                _models.AddFirst(node);
                return node.Value.Model;
            }
        }

        while (_models.Count >= capacity)
        {
            await Evict();
        }

        var model = await Load(manifest);
        _models.AddFirst((key, model));
        return model;
    }

    /// <summary>Takes all models out of memory.</summary>
    public async Task Clear()
    {
        while (_models.Count > 0)
        {
            await Evict();
        }
    }

    /// <summary>A model that was published anew under its old name is another model.</summary>
    internal static string Key(ModelManifest manifest) =>
        string.Join('|', manifest.Files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => file.Value).Prepend(manifest.Preset).Prepend(manifest.Path));

    private async Task<LoadedModel> Load(ModelManifest manifest)
    {
        try
        {
            await Task.Run(() => ModelFolder.Verify(store, manifest));
            return await device.Run(place => new LoadedModel(store, manifest, place, device.Threads));
        }
        catch (Exception error) when (error is IOException or InvalidDataException or ArgumentException)
        {
            throw new GenerationFailedException($"Model '{manifest.Name}' cannot be loaded: {error.Message}");
        }
    }

    private Task Evict()
    {
        var model = _models.Last!.Value.Model;
        _models.RemoveLast();
        return device.Run(_ => model.Dispose());
    }
}
