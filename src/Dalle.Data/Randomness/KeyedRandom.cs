using System.Numerics;

namespace Dalle.Data.Randomness;

/// <summary>Random numbers as a pure function of a 64-bit key: the same key gives the same numbers on every machine (SplitMix64).</summary>
public struct KeyedRandom(ulong key)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private ulong _state = key;

    /// <summary>One key of several words; every bit of every word matters, and so does their order.</summary>
    public static ulong Key(params ReadOnlySpan<ulong> words)
    {
        var key = (ulong)words.Length;
        foreach (var word in words)
        {
            key = Mix(BitOperations.RotateLeft(key, 23) ^ Mix(word + Golden));
        }

        return key;
    }

    /// <summary>A bijection of the 64-bit words that looks random (the finaliser of SplitMix64).</summary>
    public static ulong Mix(ulong word)
    {
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9;
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB;
        return word ^ (word >> 31);
    }

    public ulong NextUInt64() => Mix(_state += Golden);

    /// <summary>Uniform in <c>[0, bound)</c>; the bias of less than <c>bound / 2^64</c> is accepted.</summary>
    public int NextInt(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);
        return (int)Math.BigMul(NextUInt64(), (ulong)bound, out _);
    }

    /// <summary>Uniform in <c>[from, to]</c>, both ends included.</summary>
    public int NextInt(int from, int to) => from + NextInt(to - from + 1);

    /// <summary>Uniform in <c>[0, 1)</c>, a multiple of 2^-53.</summary>
    public double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));
}
