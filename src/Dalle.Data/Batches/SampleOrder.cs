using System.Numerics;
using Dalle.Data.Randomness;

namespace Dalle.Data.Batches;

/// <summary>Which samples an update uses, as a pure function of (seed, step): every pass uses each sample exactly once, in an order of its own, and nothing is stored.</summary>
public static class SampleOrder
{
    // With four, neighbours in small datasets are visibly not independent (the tests measure it).
    private const int Rounds = 8;

    /// <summary>The samples of one update. Updates follow each other without a gap: an update may end one pass and begin the next.</summary>
    /// <param name="seed">Seed of the job.</param>
    /// <param name="step">Number of the update, counted from 0.</param>
    /// <param name="count">Samples of one pass.</param>
    /// <param name="batch">Takes the samples' indices, each from 0 to <paramref name="count"/> - 1.</param>
    public static void Fill(ulong seed, int step, int count, Span<int> batch)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var first = (long)step * batch.Length;
        for (var i = 0; i < batch.Length; i++)
        {
            var (pass, position) = Math.DivRem(first + i, count);
            batch[i] = At(seed, pass, (int)position, count);
        }
    }

    /// <summary>The sample at a position of a pass: a keyed permutation of 0 to <paramref name="count"/> - 1.</summary>
    public static int At(ulong seed, long pass, int position, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(position, count);

        // A Feistel network permutes the next even power of two; walking along its cycles until inside the range permutes the range.
        var half = Math.Max(1, (BitOperations.Log2((uint)Math.Max(1, count - 1)) / 2) + 1);
        var key = KeyedRandom.Key(seed, (ulong)pass);
        var walked = (uint)position;
        do
        {
            walked = Permute(walked, half, key);
        }
        while (walked >= (uint)count);
        return (int)walked;
    }

    private static uint Permute(uint value, int half, ulong key)
    {
        var mask = (1u << half) - 1;
        var (left, right) = (value >> half, value & mask);
        for (var round = 0; round < Rounds; round++)
        {
            (left, right) = (right, left ^ ((uint)KeyedRandom.Key(key, (ulong)round, right) & mask));
        }

        return (left << half) | right;
    }
}
