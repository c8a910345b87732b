using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Devices;
using Dalle.Workers.Models;

namespace Dalle.Workers.Generation;

/// <summary>
/// The models in memory. One that is asked for is loaded beside the work of the others; one that nobody asks for makes room, and where all are at work the
/// one whose requests came last stops taking new ones until it has finished.
/// </summary>
/// <remarks>Used by one caller at a time.</remarks>
internal sealed class ModelCache(ArtifactStore store, DeviceThread device, GenerationQueue queue, GeneratorOptions options, Func<LoadedModel, string, GenerationBatch> begin, Action loaded)
{
    // The one asked for last in front.
    private readonly List<GenerationBatch> _batches = [];
    private readonly Dictionary<string, Task<LoadedModel>> _loading = [];

    // Of those in memory and on their way there, by key.
    private readonly Dictionary<string, long> _bytes = [];

    /// <summary>The models in memory, each with what it is at.</summary>
    public IReadOnlyList<GenerationBatch> Batches => _batches;

    /// <summary>Models being loaded.</summary>
    public int Loading => _loading.Count;

    /// <summary>Sees to it that the models that requests wait for are in memory, or get there.</summary>
    public async Task Provide()
    {
        await TakeLoaded();
        var waiting = queue.List().Select(ticket => (ticket.ModelKey, ticket.Request.Model)).DistinctBy(entry => entry.ModelKey).ToList();
        _batches.ForEach(batch => batch.Draining = false);
        for (var i = 0; i < waiting.Count; i++)
        {
            var (key, manifest) = waiting[i];
            if (_batches.Find(batch => batch.Key == key) is { } known)
            {
                _batches.Remove(known);
                _batches.Insert(0, known);
            }
            else if (!_loading.ContainsKey(key) && BytesOf(manifest) is var bytes && await MakeRoom(bytes, [.. waiting[..i].Select(entry => entry.ModelKey)]))
            {
                // Told once the task has come to its end, and not by itself: whoever looks then finds it so.
                var loading = Load(manifest);
                _loading.Add(key, loading);
                _bytes.Add(key, bytes);
                _ = loading.ContinueWith(_ => loaded(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            }
        }
    }

    /// <summary>Takes a model out of memory whose work failed.</summary>
    public Task Drop(GenerationBatch batch)
    {
        _batches.Remove(batch);
        _bytes.Remove(batch.Key);
        return device.Run(_ => batch.Dispose());
    }

    /// <summary>Takes all models out of memory.</summary>
    public async Task Clear(Exception reason)
    {
        foreach (var loading in _loading.Values)
        {
            await ((Task)loading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await TakeLoaded();
        foreach (var batch in _batches)
        {
            await device.Run(_ => batch.Close(reason));
            await device.Run(_ => batch.Dispose());
        }

        _batches.Clear();
        _bytes.Clear();
    }

    /// <summary>A model that was published anew under its old name is another model.</summary>
    internal static string Key(ModelManifest manifest) =>
        string.Join('|', manifest.Files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => file.Value).Prepend(manifest.Preset).Prepend(manifest.Path));

    /// <summary>Bytes of a model's weights while it is loaded, which is when they are most: those of its files, and as many for the copy that is laid out for sampling.</summary>
    private long BytesOf(ModelManifest manifest) =>
        2 * manifest.Files.Keys.Sum(file => new FileInfo(store.PathOf($"{manifest.Path}/{file}")) is { Exists: true } there ? there.Length : 0);

    /// <summary>Whether another model may be loaded, if need be in the place of those that are at rest.</summary>
    /// <param name="bytes">Its size.</param>
    /// <param name="before">Models that are asked for by requests that came earlier: they keep their places.</param>
    private async Task<bool> MakeRoom(long bytes, IReadOnlyCollection<string> before)
    {
        while (!Fits())
        {
            var candidates = _batches.Where(batch => !before.Contains(batch.Key)).Reverse().ToList();
            if (candidates.Find(batch => !batch.IsBusy) is not { } resting)
            {
                if (candidates is [var last, ..])
                {
                    last.Draining = true;
                }

                return false;
            }

            await Drop(resting);
        }

        return true;

        bool Fits() => _bytes.Count == 0 || (_bytes.Count < options.LoadedModels && _bytes.Values.Sum() + bytes <= options.ModelBytes);
    }

    /// <summary>Takes in what has been loaded; who waits for what could not be is told why.</summary>
    private async Task TakeLoaded()
    {
        foreach (var (key, loading) in _loading.Where(entry => entry.Value.IsCompleted).ToArray())
        {
            _loading.Remove(key);
            try
            {
                _batches.Insert(0, begin(await loading, key));
            }
            catch (Exception error)
            {
                _bytes.Remove(key);
                foreach (var ticket in queue.List().Where(ticket => ticket.ModelKey == key))
                {
                    ticket.Close(error);
                }

                queue.Remove(ticket => ticket.ModelKey == key);
            }
        }
    }

    private async Task<LoadedModel> Load(ModelManifest manifest)
    {
        try
        {
            await Task.Run(() => ModelFolder.Verify(store, manifest));
            return await device.Run(place => new LoadedModel(store, manifest, place, device.Threads, options));
        }
        catch (Exception error) when (error is not GenerationFailedException)
        {
            throw new GenerationFailedException($"Model '{manifest.Name}' cannot be loaded: {error.Message}");
        }
    }
}
