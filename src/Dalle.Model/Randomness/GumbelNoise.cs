using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dalle.Model.Randomness;

/// <summary>Standard Gumbel noise, -ln(-ln u): element i is a pure function of (key, i), cheap enough for one number per code and token of every update.</summary>
public static class GumbelNoise
{
    /// <summary>Fills an array with the noise of a key (see <see cref="CounterRandom.Key"/>).</summary>
    public static void Fill(Span<float> noise, ulong key)
    {
        var (low, high) = (new Vector<uint>((uint)key), new Vector<uint>((uint)(key >> 32)));
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(noise);
        var counter = Vector<uint>.Indices;
        for (var i = 0; i < vectors.Length; i++, counter += new Vector<uint>((uint)Vector<uint>.Count))
        {
            vectors[i] = Gumbel(Mix(Mix(counter ^ low) + high));
        }

        if (noise.Length % Vector<float>.Count is > 0 and var rest)
        {
            Span<float> last = stackalloc float[Vector<float>.Count];
            Gumbel(Mix(Mix(counter ^ low) + high)).CopyTo(last);
            last[..rest].CopyTo(noise[^rest..]);
        }
    }

    // A bijection of 32 bits that spreads every input bit over all output bits (C. Wellons, "Prospecting for hash functions", lowbias32).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Mix(Vector<uint> x)
    {
        x ^= x >>> 16;
        x *= new Vector<uint>(0x7feb352d);
        x ^= x >>> 15;
        x *= new Vector<uint>(0x846ca68b);
        return x ^ (x >>> 16);
    }

    // The upper 23 bits, centred in their cells, so that u is neither 0 nor 1.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Gumbel(Vector<uint> random)
    {
        var u = (Vector.ConvertToSingle(Vector.AsVectorInt32(random >>> 9)) + new Vector<float>(0.5f)) * new Vector<float>(1f / (1 << 23));
        return -Vector.Log(-Vector.Log(u));
    }
}
