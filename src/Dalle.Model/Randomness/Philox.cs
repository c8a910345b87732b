using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dalle.Model.Randomness;

/// <summary>
/// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): four random words are a
/// fixed function of a 128-bit counter and a 64-bit key, so any number of a stream can be had without those before it.
/// </summary>
public static class Philox
{
    private const uint Multiplier0 = 0xD2511F53, Multiplier1 = 0xCD9E8D57, Weyl0 = 0x9E3779B9, Weyl1 = 0xBB67AE85;
    private const int Rounds = 10;

    /// <summary>The four words of a counter.</summary>
    /// <param name="key">Names the stream.</param>
    /// <param name="counter">The counter, lowest word first.</param>
    public static (uint X, uint Y, uint Z, uint W) Block(ulong key, (uint X, uint Y, uint Z, uint W) counter)
    {
        var (x, y, z, w) = counter;
        var (key0, key1) = ((uint)key, (uint)(key >> 32));
        for (var round = 0; round < Rounds; round++)
        {
            var product0 = (ulong)Multiplier0 * x;
            var product1 = (ulong)Multiplier1 * z;
            (x, y, z, w) = ((uint)(product1 >> 32) ^ y ^ key0, (uint)product1, (uint)(product0 >> 32) ^ w ^ key1, (uint)product0);
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (x, y, z, w);
    }

    /// <summary>The words of eight counters whose lowest words follow each other.</summary>
    /// <param name="key">Names the stream.</param>
    /// <param name="first">Lowest word of the first counter; that of lane i is i more.</param>
    /// <param name="y">Second word of all.</param>
    /// <param name="z">Third word of all.</param>
    /// <param name="w">Fourth word of all.</param>
    /// <returns>Lane i of <c>XY</c>: word X of counter i (i below 8), word Y of counter i - 8 (from 8 on); <c>ZW</c> likewise.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector512<uint> XY, Vector512<uint> ZW) EightBlocks(ulong key, uint first, uint y, uint z, uint w)
    {
        // Each 32-bit word stands in a 64-bit lane, so that products are whole.
        var low = Vector512.Create((ulong)uint.MaxValue);
        var x8 = (Vector512<ulong>.Indices + Vector512.Create((ulong)first)) & low;
        var (y8, z8, w8) = (Vector512.Create((ulong)y), Vector512.Create((ulong)z), Vector512.Create((ulong)w));
        var (key0, key1) = ((uint)key, (uint)(key >> 32));
        for (var round = 0; round < Rounds; round++)
        {
            var product0 = x8 * Multiplier0;
            var product1 = z8 * Multiplier1;
            (x8, y8, z8, w8) = (
                (product1 >>> 32) ^ y8 ^ Vector512.Create((ulong)key0), product1 & low,
                (product0 >>> 32) ^ w8 ^ Vector512.Create((ulong)key1), product0 & low);
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (Vector512.Narrow(x8, y8), Vector512.Narrow(z8, w8));
    }

    /// <summary>What <see cref="EightBlocks"/> computes, for processors with AVX2 and no longer vectors: lane i of each result is a word of counter i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector256<uint> X, Vector256<uint> Y, Vector256<uint> Z, Vector256<uint> W) EightBlocksOfAvx2(ulong key, uint first, uint y, uint z, uint w)
    {
        var low = FourBlocks(key, first, y, z, w);
        var high = FourBlocks(key, first + 4, y, z, w);
        return (Vector256.Narrow(low.X, high.X), Vector256.Narrow(low.Y, high.Y), Vector256.Narrow(low.Z, high.Z), Vector256.Narrow(low.W, high.W));
    }

    // Each word is the low half of a 64-bit lane. Products are of low halves alone, so what stands in the high ones does not matter.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<ulong> X, Vector256<ulong> Y, Vector256<ulong> Z, Vector256<ulong> W) FourBlocks(ulong key, uint first, uint y, uint z, uint w)
    {
        var x4 = Vector256<ulong>.Indices + Vector256.Create((ulong)first);
        var (y4, z4, w4) = (Vector256.Create((ulong)y), Vector256.Create((ulong)z), Vector256.Create((ulong)w));
        var (key0, key1) = ((uint)key, (uint)(key >> 32));
        for (var round = 0; round < Rounds; round++)
        {
            var product0 = Avx2.Multiply(x4.AsUInt32(), Vector256.Create(Multiplier0));
            var product1 = Avx2.Multiply(z4.AsUInt32(), Vector256.Create(Multiplier1));
            (x4, y4, z4, w4) = (
                (product1 >>> 32) ^ y4 ^ Vector256.Create((ulong)key0), product1,
                (product0 >>> 32) ^ w4 ^ Vector256.Create((ulong)key1), product0);
            key0 += Weyl0;
            key1 += Weyl1;
        }

        return (x4, y4, z4, w4);
    }
}
