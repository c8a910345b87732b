using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using Orleans.Runtime;
using Orleans.Serialization;
using Orleans.Storage;

namespace Dalle.Grains.Tests.Hosting;

/// <summary>What the grains of a test cluster have stored, outside of its silos: it outlives them. A test may let writes fail.</summary>
public sealed class StoredGrains
{
    private readonly ConcurrentDictionary<string, byte> _refused = new();
    private readonly ConcurrentDictionary<string, byte> _unanswered = new();
    private readonly ConcurrentDictionary<string, Channel<TaskCompletionSource>> _held = new();

    internal ConcurrentDictionary<(string Name, GrainId Grain), (byte[] Bytes, string ETag)> Entries { get; } = new();

    /// <summary>Lets the next write of the grain with this key fail.</summary>
    public void FailNextWrite(string key) => _refused[key] = 0;

    /// <summary>Lets the next write of the grain with this key be done, but its answer be lost.</summary>
    public void LoseNextAnswer(string key) => _unanswered[key] = 0;

    /// <summary>Lets the next write of the grain with this key wait.</summary>
    /// <returns>Writes that wait; each goes on when its turn is completed.</returns>
    public ChannelReader<TaskCompletionSource> HoldNextWrite(string key) => _held.GetOrAdd(key, _ => Channel.CreateUnbounded<TaskCompletionSource>()).Reader;

    internal async Task BeforeWrite(GrainId grain)
    {
        ThrowIf(_refused, grain);
        if (_held.TryRemove(grain.Key.ToString()!, out var waiting))
        {
            var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            waiting.Writer.TryWrite(turn);
            await turn.Task;
        }
    }

    internal void AfterWrite(GrainId grain) => ThrowIf(_unanswered, grain);

    private static void ThrowIf(ConcurrentDictionary<string, byte> faults, GrainId grain)
    {
        if (faults.TryRemove(grain.Key.ToString()!, out _))
        {
            throw new IOException("The storage is away.");
        }
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
        await grains.BeforeWrite(grainId);
        var known = grains.Entries.GetValueOrDefault((stateName, grainId)).ETag;
        if (known != grainState.ETag)
        {
            throw new InconsistentStateException("The state was written by another activation.", known, grainState.ETag);
        }

        var next = (int.Parse(known ?? "0", CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
        grains.Entries[(stateName, grainId)] = (bytes, next);
        grains.AfterWrite(grainId);
        (grainState.ETag, grainState.RecordExists) = (next, true);
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        grains.Entries.TryRemove((stateName, grainId), out _);
        (grainState.ETag, grainState.RecordExists) = (null, false);
        return Task.CompletedTask;
    }
}
