using System.Collections.Concurrent;
using System.Globalization;
using Orleans.Runtime;
using Orleans.Serialization;
using Orleans.Storage;

namespace Dalle.Grains.Tests.Hosting;

/// <summary>What the grains of a test cluster have stored, outside of its silos: it outlives them. A test may let writes fail.</summary>
public sealed class StoredGrains
{
    private int _writesToFail;

    internal ConcurrentDictionary<(string Name, GrainId Grain), (byte[] Bytes, string ETag)> Entries { get; } = new();

    /// <summary>Lets the next write fail.</summary>
    public void FailNextWrite() => Interlocked.Increment(ref _writesToFail);

    internal void ThrowIfToFail()
    {
        if (Interlocked.Decrement(ref _writesToFail) >= 0)
        {
            throw new IOException("The storage is away.");
        }

        Interlocked.Exchange(ref _writesToFail, 0);
    }
}

/// <summary>Grain storage in <see cref="StoredGrains"/>, as bytes: what comes back has been through the serializer, as with a real store.</summary>
internal sealed class SharedStorage(StoredGrains grains, Serializer serializer) : IGrainStorage
{
    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        grainState.RecordExists = grains.Entries.TryGetValue((stateName, grainId), out var entry);
        if (grainState.RecordExists)
        {
            (grainState.State, grainState.ETag) = (serializer.Deserialize<T>(entry.Bytes), entry.ETag);
        }

        return Task.CompletedTask;
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var bytes = serializer.SerializeToArray(grainState.State);

        // A real store answers later, not on the spot.
        await Task.Yield();
        grains.ThrowIfToFail();
        var known = grains.Entries.GetValueOrDefault((stateName, grainId)).ETag;
        if (known != grainState.ETag)
        {
            throw new InconsistentStateException("The state was written by another activation.", known, grainState.ETag);
        }

        grainState.ETag = (int.Parse(known ?? "0", CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
        grainState.RecordExists = true;
        grains.Entries[(stateName, grainId)] = (bytes, grainState.ETag);
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        grains.Entries.TryRemove((stateName, grainId), out _);
        (grainState.ETag, grainState.RecordExists) = (null, false);
        return Task.CompletedTask;
    }
}
