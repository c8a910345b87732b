using System.Buffers;

namespace Dalle.Collectives.Transport;

/// <summary>Frames of messages that nobody waits for yet, in pooled buffers, up to a limit. Its owner's lock guards it.</summary>
/// <param name="limit">Bytes it keeps at most, counting payloads and what keeping a frame costs.</param>
internal sealed class EarlyFrames(long limit)
{
    private readonly Dictionary<MessageKey, Queue<Landing>> _frames = [];

    /// <summary>Bytes that count against the limit now.</summary>
    public long Bytes { get; private set; }

    /// <summary>A buffer for a frame about to be read, or null while there is no room.</summary>
    public Landing? TryReserve(in FrameHeader header, int chunk)
    {
        var cost = Landing.EarlyCost(header);
        if (Bytes + cost > limit)
        {
            return null;
        }

        Bytes += cost;
        return new Landing(header, chunk, Pooled: ArrayPool<byte>.Shared.Rent(header.Length));
    }

    /// <summary>Keeps a frame that was read.</summary>
    public void Keep(in Landing landing)
    {
        if (!_frames.TryGetValue(landing.Header.Key, out var frames))
        {
            _frames.Add(landing.Header.Key, frames = []);
        }

        frames.Enqueue(landing);
    }

    /// <summary>Takes the first frame of a message; it still has to be freed.</summary>
    public bool TryTake(MessageKey key, out Landing landing)
    {
        if (!_frames.TryGetValue(key, out var frames))
        {
            landing = default;
            return false;
        }

        landing = frames.Dequeue();
        if (frames.Count == 0)
        {
            _frames.Remove(key);
        }

        return true;
    }

    /// <summary>Gives a frame's buffer back, if it has one.</summary>
    public void Free(in Landing landing)
    {
        if (landing.Pooled is not null)
        {
            Bytes -= Landing.EarlyCost(landing.Header);
            ArrayPool<byte>.Shared.Return(landing.Pooled);
        }
    }

    /// <summary>Drops all frames that were read.</summary>
    public void Clear()
    {
        foreach (var landing in _frames.Values.SelectMany(frames => frames))
        {
            Free(landing);
        }

        _frames.Clear();
    }
}
