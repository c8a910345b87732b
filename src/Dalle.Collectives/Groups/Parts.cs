namespace Dalle.Collectives.Groups;

/// <summary>An array divided among the ranks of a group, in rank order.</summary>
/// <param name="Counts">Elements of each rank's part.</param>
internal sealed record Parts(IReadOnlyList<int> Counts)
{
    /// <summary>Parts as equal as can be: the first ones are longer by one where it does not divide.</summary>
    public static Parts Even(int count, int ranks) => new([.. Enumerable.Range(0, ranks).Select(rank => (count / ranks) + (rank < count % ranks ? 1 : 0))]);

    /// <summary>Parts of a whole that the caller has divided.</summary>
    /// <exception cref="ArgumentException">They are not one for each rank, or do not make up the whole.</exception>
    public static Parts Of(IReadOnlyList<int>? counts, int whole, int ranks)
    {
        if (counts is null)
        {
            return Even(whole, ranks);
        }

        return counts.Count == ranks && counts.All(count => count >= 0) && counts.Sum(count => (long)count) == whole
            ? new Parts(counts)
            : throw new ArgumentException($"Expected {ranks} parts of {whole} elements together, got [{string.Join(", ", counts)}].", nameof(counts));
    }

    /// <summary>A rank's first element.</summary>
    public int Start(int rank) => Counts.Take(rank).Sum();

    /// <summary>A rank's part of the whole.</summary>
    public Elements Of(Elements whole, int rank) => whole.Slice(Start(rank), Counts[rank]);
}
