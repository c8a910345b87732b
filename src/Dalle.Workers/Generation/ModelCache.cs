using Dalle.Contracts.Models;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;

namespace Dalle.Workers.Generation;

/// <summary>The models used last, in memory.</summary>
/// <remarks>Used by one engine at a time.</remarks>
internal sealed class ModelCache(ArtifactStore store, DeviceThread device, int capacity = 2)
{
    private readonly List<LoadedModel> _models = [];

    /// <summary>The model, loaded now if it is not in memory as published. The one used longest ago makes room.</summary>
    public async Task<LoadedModel> Get(ModelManifest manifest, CancellationToken cancellationToken)
    {
        var found = _models.Find(model => model.Manifest.Path == manifest.Path && model.Manifest.Published == manifest.Published);
        if (found is null)
        {
            while (_models.Count >= capacity)
            {
                var oldest = _models[0];
                _models.RemoveAt(0);
                await device.Run(_ => oldest.Dispose(), cancellationToken);
            }

            found = await device.Run(target => new LoadedModel(store, manifest, target), cancellationToken);
        }
        else
        {
            _models.Remove(found);
        }

        _models.Add(found);
        return found;
    }
}
