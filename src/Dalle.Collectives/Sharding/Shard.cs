namespace Dalle.Collectives.Sharding;

/// <summary>What one ordinal holds: a slice of every parameter array, one after the other in a flat buffer, decayed ones first as in a whole network's buffer.</summary>
public sealed class Shard
{
    private readonly Dictionary<string, ShardSlice> _byName;

    internal Shard(int ordinal, IReadOnlyList<ShardSlice> slices)
    {
        (Ordinal, Slices) = (ordinal, slices);
        _byName = slices.ToDictionary(slice => slice.Name, StringComparer.Ordinal);
        Count = slices.Sum(slice => slice.Count);
        DecayedCount = slices.Where(slice => slice.Parameter.Decays).Sum(slice => slice.Count);
    }

    /// <summary>Counted from 0.</summary>
    public int Ordinal { get; }

    /// <summary>In the flat buffer's order, empty ones among them.</summary>
    public IReadOnlyList<ShardSlice> Slices { get; }

    /// <summary>Elements of the flat buffer.</summary>
    public long Count { get; }

    /// <summary>Elements at the front of the flat buffer that weight decay applies to.</summary>
    public long DecayedCount { get; }

    /// <summary>The slice of a parameter.</summary>
    /// <exception cref="KeyNotFoundException">The network does not declare the name.</exception>
    public ShardSlice this[string name] => _byName.TryGetValue(name, out var slice)
        ? slice
        : throw new KeyNotFoundException($"The network declares no parameter '{name}'.");
}
