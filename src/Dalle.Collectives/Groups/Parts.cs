namespace Dalle.Collectives.Groups;

/// <summary>An array divided among the ranks of a group, in rank order, or among its processes.</summary>
/// <param name="Counts">Elements of each one's part.</param>
internal sealed record Parts(IReadOnlyList<int> Counts)
{
    /// <summary>Parts as equal as can be: the first ones are longer by one where it does not divide.</summary>
    public static Parts Even(int count, int owners) => new([.. Enumerable.Range(0, owners).Select(owner => (count / owners) + (owner < count % owners ? 1 : 0))]);

    /// <summary>Parts of a whole that the caller has divided among the ranks.</summary>
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

    /// <summary>An owner's part of the whole.</summary>
    public Elements Of(Elements whole, int owner) => whole.Slice(Counts.Take(owner).Sum(), Counts[owner]);
}
