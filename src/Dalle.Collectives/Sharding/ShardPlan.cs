using Dalle.Model.Parameters;

namespace Dalle.Collectives.Sharding;

/// <summary>
/// How the parameters of a network are split over the ordinals of a replica (paper, section 2.4 and appendix E: eight, the graphics cards of a machine). Every array is split
/// by rows, its first dimension. A pure function of declaration and number of ordinals, so every silo finds the same.
/// </summary>
/// <remarks>
/// Row counts of an array differ by at most one. Which ordinals have one more is decided by how much they hold already, arrays with the longest rows first and then by name:
/// whole shards differ by no more than the longest row, whatever order the arrays are declared in.
/// </remarks>
public sealed class ShardPlan
{
    /// <param name="specs">The network's declaration.</param>
    /// <param name="ordinals">Number of shards, at least 1.</param>
    /// <exception cref="ArgumentException">A name is declared twice, an array has no dimension, or there are no ordinals.</exception>
    public ShardPlan(IReadOnlyList<ParameterSpec> specs, int ordinals)
    {
        if (ordinals < 1)
        {
            throw new ArgumentException($"Expected at least one ordinal, got {ordinals}.", nameof(ordinals));
        }

        if (specs.FirstOrDefault(spec => spec.Shape is [] || spec.Count == 0) is { } empty)
        {
            throw new ArgumentException($"Parameter '{empty.Name}' has no rows to split.", nameof(specs));
        }

        if (specs.GroupBy(spec => spec.Name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"Parameter '{twice.Key}' is declared twice.", nameof(specs));
        }

        Specs = [.. ParameterStore.InStorageOrder(specs)];
        var rows = RowCounts(Specs, ordinals);
        Shards = [.. Enumerable.Range(0, ordinals).Select(ordinal => new Shard(ordinal, Slices(ordinal, rows)))];
    }

    /// <summary>The declarations in the order of the flat buffers.</summary>
    public IReadOnlyList<ParameterSpec> Specs { get; }

    /// <summary>By ordinal.</summary>
    public IReadOnlyList<Shard> Shards { get; }

    /// <summary>A parameter's slices, by ordinal: one after the other they are the whole array.</summary>
    /// <exception cref="KeyNotFoundException">The network does not declare the name.</exception>
    public IReadOnlyList<ShardSlice> SlicesOf(string name) => [.. Shards.Select(shard => shard[name])];

    private static Dictionary<string, long[]> RowCounts(IReadOnlyList<ParameterSpec> specs, int ordinals)
    {
        var rows = new Dictionary<string, long[]>(StringComparer.Ordinal);
        var held = new long[ordinals];
        foreach (var spec in specs.OrderByDescending(spec => spec.RowLength()).ThenBy(spec => spec.Name, StringComparer.Ordinal))
        {
            var counts = new long[ordinals];
            Array.Fill(counts, spec.RowCount() / ordinals);
            foreach (var ordinal in Enumerable.Range(0, ordinals).OrderBy(ordinal => held[ordinal]).Take((int)(spec.RowCount() % ordinals)))
            {
                counts[ordinal]++;
            }

            for (var ordinal = 0; ordinal < ordinals; ordinal++)
            {
                held[ordinal] += counts[ordinal] * spec.RowLength();
            }

            rows.Add(spec.Name, counts);
        }

        return rows;
    }

    private List<ShardSlice> Slices(int ordinal, Dictionary<string, long[]> rows)
    {
        var slices = new List<ShardSlice>(Specs.Count);
        long offset = 0;
        foreach (var spec in Specs)
        {
            var slice = new ShardSlice(spec, ordinal, rows[spec.Name].Take(ordinal).Sum(), rows[spec.Name][ordinal], offset);
            offset += slice.Count;
            slices.Add(slice);
        }

        return slices;
    }
}
