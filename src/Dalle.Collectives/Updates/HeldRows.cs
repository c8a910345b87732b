using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Collectives.Updates;

/// <summary>The rows of every array that a run of ordinals has, one after the other in a flat buffer by array; and where each ordinal's slices are in it.</summary>
public sealed class HeldRows
{
    private readonly long[] _starts;
    private readonly Dictionary<string, int> _arrays;

    /// <param name="plan">How arrays are split.</param>
    /// <param name="firstOrdinal">The first ordinal that is held.</param>
    /// <param name="ordinals">How many.</param>
    public HeldRows(ShardPlan plan, int firstOrdinal, int ordinals)
    {
        (Plan, FirstOrdinal, Ordinals) = (plan, firstOrdinal, ordinals);
        Ranges = plan.Specs.ToDictionary(
            spec => spec.Name,
            spec =>
            {
                var slices = plan.SlicesOf(spec.Name);
                return new RowRange(slices[firstOrdinal].FirstRow, slices.Skip(firstOrdinal).Take(ordinals).Sum(slice => slice.Rows));
            },
            StringComparer.Ordinal);
        _arrays = plan.Specs.Index().ToDictionary(pair => pair.Item.Name, pair => pair.Index, StringComparer.Ordinal);
        _starts = new long[plan.Specs.Count + 1];
        foreach (var (i, spec) in plan.Specs.Index())
        {
            _starts[i + 1] = _starts[i] + (Ranges[spec.Name].Count * (spec.Count / spec.Shape[0]));
        }
    }

    /// <summary>How arrays are split.</summary>
    public ShardPlan Plan { get; }

    /// <summary>The first ordinal that is held.</summary>
    public int FirstOrdinal { get; }

    /// <summary>How many.</summary>
    public int Ordinals { get; }

    /// <summary>Whether that is all of them.</summary>
    public bool All => Ordinals == Plan.Shards.Count;

    /// <summary>The rows by parameter name.</summary>
    public IReadOnlyDictionary<string, RowRange> Ranges { get; }

    /// <summary>Elements of the flat buffer.</summary>
    public long Count => _starts[^1];

    /// <summary>An array's place among the plan's declarations; null of what is none.</summary>
    public int? Find(string name) => _arrays.TryGetValue(name, out var array) ? array : null;

    /// <summary>An array's rows in the flat buffer: a view <c>[n]</c>, n its held elements. The caller disposes it.</summary>
    /// <param name="held_N">The flat buffer.</param>
    /// <param name="array">The array's place among the plan's declarations.</param>
    public Tensor Array(Tensor held_N, int array) => held_N.narrow(0, _starts[array], _starts[array + 1] - _starts[array]);

    /// <summary>An ordinal's slice of an array in the flat buffer: a view <c>[n]</c>. The caller disposes it.</summary>
    /// <param name="held_N">The flat buffer.</param>
    /// <param name="ordinal">One of the held ones.</param>
    /// <param name="array">The array's place among the plan's declarations.</param>
    public Tensor Slice(Tensor held_N, int ordinal, int array)
    {
        var slice = Plan.Shards[ordinal].Slices[array];
        return held_N.narrow(0, _starts[array] + ((slice.FirstRow - Ranges[slice.Name].First) * slice.RowLength), slice.Count);
    }

    /// <summary>Copies an ordinal's slices out of the flat buffer into one that is laid out as the ordinal's shard.</summary>
    public void CopyToShard(Tensor held_N, int ordinal, Tensor shard_N) => Copy(ordinal, (array, slice) =>
    {
        using var source = Slice(held_N, ordinal, array);
        slice(shard_N).copy_(source);
    });

    /// <summary>Copies a shard into its ordinal's slices of the flat buffer.</summary>
    public void CopyFromShard(Tensor shard_N, int ordinal, Tensor held_N) => Copy(ordinal, (array, slice) =>
    {
        using var source = slice(shard_N);
        using var target = Slice(held_N, ordinal, array);
        target.copy_(source);
    });

    private void Copy(int ordinal, Action<int, Func<Tensor, Tensor>> copy)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var (array, slice) in Plan.Shards[ordinal].Slices.Index().Where(pair => pair.Item.Count > 0))
        {
            copy(array, shard_N => shard_N.narrow(0, slice.Offset, slice.Count));
        }
    }
}
