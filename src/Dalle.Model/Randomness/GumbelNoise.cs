using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dalle.Model.Randomness;

/// <summary>Standard Gumbel noise, -ln(-ln u): every number is a pure function of (seed, purpose, stream, position, its index), whatever was drawn before.</summary>
internal static class GumbelNoise
{
    /// <summary>Numbers that come from one call of <see cref="Philox.EightBlocks"/>.</summary>
    private const int GroupSize = 32;

    /// <summary>Rounds a count up to what <see cref="Fill"/> writes.</summary>
    public static int PaddedLength(int count) => (count + GroupSize - 1) / GroupSize * GroupSize;

    /// <summary>Fills a span whose length is a <see cref="PaddedLength"/>.</summary>
    /// <param name="noise">The numbers.</param>
    /// <param name="seed">Seed of the job or request.</param>
    /// <param name="purpose">What the noise is for.</param>
    /// <param name="stream">The worker of a job, or the candidate of a request.</param>
    /// <param name="position">The step, or the image position.</param>
    public static void Fill(Span<float> noise, ulong seed, Purpose purpose, int stream, int position)
    {
        // Number 32 g + 8 w + i has word w of counter 8 g + i.
        for (var start = 0; start < noise.Length; start += GroupSize)
        {
            var group = noise.Slice(start, GroupSize);
            if (Vector512.IsHardwareAccelerated || !Avx2.IsSupported)
            {
                var (xy, zw) = Philox.EightBlocks(seed, (uint)(start / 4), (uint)position, (uint)stream, (uint)purpose);
                Gumbel(xy).CopyTo(group);
                Gumbel(zw).CopyTo(group[16..]);
            }
            else
            {
                var (x, y, z, w) = Philox.EightBlocksOfAvx2(seed, (uint)(start / 4), (uint)position, (uint)stream, (uint)purpose);
                Gumbel(x).CopyTo(group);
                Gumbel(y).CopyTo(group[8..]);
                Gumbel(z).CopyTo(group[16..]);
                Gumbel(w).CopyTo(group[24..]);
            }
        }
    }

    /// <summary>-ln E of an exponential variable E = -ln(1 - u), which is exact to the last places where u is small, that is where noise is large.</summary>
    private static Vector512<float> Gumbel(Vector512<uint> words)
    {
        // The signed conversion is one instruction; u lies in [2^-32, 1 - 2^-24].
        var u = (Vector512.ConvertToSingle((words >>> 1).AsInt32()) + Vector512.Create(0.5f)) * MathF.ScaleB(1, -31);
        u = Vector512.Min(u, Vector512.Create(1 - MathF.ScaleB(1, -24)));
        var series = u * (Vector512<float>.One + (u * (Vector512.Create(1 / 2f) + (u * (Vector512.Create(1 / 3f) + (u * 0.25f))))));
        var exponential = Vector512.ConditionalSelect(
            Vector512.LessThan(u, Vector512.Create(1 / 64f)), series, -Vector512.Log(Vector512<float>.One - u));
        return -Vector512.Log(exponential);
    }

    // The same in shorter vectors: a Vector512 that the processor does not have costs twice the time.
    private static Vector256<float> Gumbel(Vector256<uint> words)
    {
        var u = (Vector256.ConvertToSingle((words >>> 1).AsInt32()) + Vector256.Create(0.5f)) * MathF.ScaleB(1, -31);
        u = Vector256.Min(u, Vector256.Create(1 - MathF.ScaleB(1, -24)));
        var series = u * (Vector256<float>.One + (u * (Vector256.Create(1 / 2f) + (u * (Vector256.Create(1 / 3f) + (u * 0.25f))))));
        var exponential = Vector256.ConditionalSelect(
            Vector256.LessThan(u, Vector256.Create(1 / 64f)), series, -Vector256.Log(Vector256<float>.One - u));
        return -Vector256.Log(exponential);
    }
}
