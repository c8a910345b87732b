using System.Numerics;

namespace Dalle.Collectives.Updates;

/// <summary>What a worker has to say of an update before it is done anywhere. All workers get all ballots, so that all come to the same verdict.</summary>
/// <remarks>The worker that holds everybody's ballots knows that everybody is prepared: from then on the update can be done even if its peers are lost.</remarks>
public sealed record Ballot
{
    /// <summary>Figures of the update, at most: losses and the like, which are added over the workers.</summary>
    public const int MostFigures = 8;

    /// <summary>Resblocks with a gradient scale, at most.</summary>
    public const int MostResblocks = 1024;

    private const int FiniteWords = MostResblocks / 64;

    /// <summary>Words of 64 bit that a ballot takes on its way.</summary>
    internal const int Words = 2 + MostFigures + FiniteWords;

    /// <summary>Squared norm of the mean gradient of the worker's shard; not finite where the update is to be skipped.</summary>
    public double SquaredNorm { get; init; }

    /// <summary>What the worker's process wishes to happen after this update.</summary>
    public Wishes Wishes { get; init; }

    /// <summary>The worker's share of each figure, at most <see cref="MostFigures"/>.</summary>
    public IReadOnlyList<double> Figures { get; init; } = [];

    /// <summary>Resblocks whose gradients were not finite, by number.</summary>
    public IReadOnlyList<int> NotFinite { get; init; } = [];

    /// <summary>Writes it.</summary>
    /// <param name="words">As many as <see cref="Words"/>.</param>
    internal void Write(Span<ulong> words)
    {
        words.Clear();
        words[0] = BitConverter.DoubleToUInt64Bits(SquaredNorm);
        words[1] = (ulong)Wishes;
        for (var i = 0; i < Figures.Count; i++)
        {
            words[2 + i] = BitConverter.DoubleToUInt64Bits(Figures[i]);
        }

        foreach (var resblock in NotFinite)
        {
            words[2 + MostFigures + (resblock / 64)] |= 1UL << (resblock % 64);
        }
    }

    /// <summary>Reads it.</summary>
    internal static Ballot Read(ReadOnlySpan<ulong> words)
    {
        var figures = new double[MostFigures];
        for (var i = 0; i < figures.Length; i++)
        {
            figures[i] = BitConverter.UInt64BitsToDouble(words[2 + i]);
        }

        var notFinite = new List<int>();
        for (var word = 0; word < FiniteWords; word++)
        {
            for (var bits = words[2 + MostFigures + word]; bits != 0; bits &= bits - 1)
            {
                notFinite.Add((word * 64) + BitOperations.TrailingZeroCount(bits));
            }
        }

        return new() { SquaredNorm = BitConverter.UInt64BitsToDouble(words[0]), Wishes = (Wishes)words[1], Figures = figures, NotFinite = notFinite };
    }
}

/// <summary>What a process wishes to happen once an update is done: all processes do it after the same one.</summary>
[Flags]
public enum Wishes
{
    /// <summary>To go on.</summary>
    None = 0,

    /// <summary>To keep a snapshot.</summary>
    Snapshot = 1,

    /// <summary>Not to keep one yet: the last one is still on its way.</summary>
    NoSnapshot = 2,

    /// <summary>To stop, and keep the state in memory.</summary>
    Stop = 4,

    /// <summary>To stop, and keep the state on disk.</summary>
    StopForGood = 8,

    /// <summary>To stop, because this process leaves.</summary>
    Leave = 16,
}

/// <summary>What all ballots come to.</summary>
/// <param name="Norm">Norm of the mean gradient; not finite if the update is to be skipped.</param>
/// <param name="Figures">Sums of the figures, in the order of the workers.</param>
/// <param name="NotFinite">Resblocks of which some worker's gradients were not finite.</param>
/// <param name="Wishes">Of all processes together.</param>
/// <param name="Leaving">Hosts that leave, by their place in the grid.</param>
public sealed record Verdict(double Norm, IReadOnlyList<double> Figures, IReadOnlySet<int> NotFinite, Wishes Wishes, IReadOnlySet<int> Leaving)
{
    /// <summary>Whether the update is to be done.</summary>
    public bool IsFinite => double.IsFinite(Norm);

    /// <summary>Counts the ballots, which are in the order of the workers.</summary>
    internal static Verdict Of(WorkerGrid grid, IReadOnlyList<Ballot> ballots)
    {
        // All replicas have the same norm of an ordinal.
        var square = 0.0;
        for (var ordinal = 0; ordinal < grid.Shards; ordinal++)
        {
            square += ballots[ordinal].SquaredNorm;
        }

        var figures = new double[Ballot.MostFigures];
        foreach (var ballot in ballots)
        {
            for (var i = 0; i < figures.Length; i++)
            {
                figures[i] += ballot.Figures[i];
            }
        }

        return new(
            Math.Sqrt(square),
            figures,
            ballots.SelectMany(ballot => ballot.NotFinite).ToHashSet(),
            ballots.Aggregate(Wishes.None, (all, ballot) => all | ballot.Wishes),
            grid.Hosts.Index().Where(host => ballots[(host.Item.FirstReplica * grid.Shards) + host.Item.FirstOrdinal].Wishes.HasFlag(Wishes.Leave)).Select(host => host.Index).ToHashSet());
    }
}
