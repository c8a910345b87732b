using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dalle.Collectives.Groups;

/// <summary>The sum of several arrays, element by element: ((first + second) + third) + ..., always in that order, in 32 bit.</summary>
/// <remarks>The loops are compiled at their best at once: the first updates of a job are not to wait for it.</remarks>
internal static class OrderedSum
{
    /// <summary>Elements worked on at once: small enough for the first-level cache.</summary>
    private const int Block = 2048;

    private const uint Infinity = 0x7F80_0000;

    /// <summary>Sums arrays of one length and format. The target may be one of them.</summary>
    public static void Compute(ElementFormat format, ReadOnlySpan<ReadOnlyMemory<byte>> terms, Span<byte> target)
    {
        if (terms.Length == 1)
        {
            if (terms[0].Span != target)
            {
                terms[0].Span.CopyTo(target);
            }
        }
        else if (format == ElementFormat.Float32)
        {
            SumFloats(terms, MemoryMarshal.Cast<byte, float>(target));
        }
        else
        {
            SumHalves(terms, MemoryMarshal.Cast<byte, ushort>(target));
        }
    }

    private static void SumFloats(ReadOnlySpan<ReadOnlyMemory<byte>> terms, Span<float> target)
    {
        Span<float> sums = stackalloc float[Block];
        for (var start = 0; start < target.Length; start += Block)
        {
            var count = Math.Min(Block, target.Length - start);
            for (var term = 1; term < terms.Length; term++)
            {
                // Only the last sum goes to the target, which may be a term not added yet.
                Add(
                    term == 1 ? Floats(terms[0], start, count) : sums[..count], Floats(terms[term], start, count),
                    term == terms.Length - 1 ? target.Slice(start, count) : sums[..count]);
            }
        }
    }

    private static void SumHalves(ReadOnlySpan<ReadOnlyMemory<byte>> terms, Span<ushort> target)
    {
        Span<float> sums = stackalloc float[Block];
        for (var start = 0; start < target.Length; start += Block)
        {
            var count = Math.Min(Block, target.Length - start);
            Widen(Halves(terms[0], start, count), sums);
            for (var term = 1; term < terms.Length; term++)
            {
                AddWidened(sums, Halves(terms[term], start, count));
            }

            Round(sums[..count], target.Slice(start, count));
        }
    }

    private static ReadOnlySpan<float> Floats(ReadOnlyMemory<byte> bytes, int start, int count) => MemoryMarshal.Cast<byte, float>(bytes.Span).Slice(start, count);

    private static ReadOnlySpan<ushort> Halves(ReadOnlyMemory<byte> bytes, int start, int count) => MemoryMarshal.Cast<byte, ushort>(bytes.Span).Slice(start, count);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(ReadOnlySpan<float> left, ReadOnlySpan<float> right, Span<float> sum)
    {
        var i = 0;
        for (; i <= sum.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            (new Vector<float>(left[i..]) + new Vector<float>(right[i..])).CopyTo(sum[i..]);
        }

        for (; i < sum.Length; i++)
        {
            sum[i] = left[i] + right[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ReadOnlySpan<ushort> halves, Span<float> floats)
    {
        var i = 0;
        for (; i <= halves.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(halves[i..]), out var low, out var high);
            Vector.AsVectorSingle(low << 16).CopyTo(floats[i..]);
            Vector.AsVectorSingle(high << 16).CopyTo(floats[(i + Vector<float>.Count)..]);
        }

        for (; i < halves.Length; i++)
        {
            floats[i] = Widen(halves[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddWidened(Span<float> sums, ReadOnlySpan<ushort> halves)
    {
        var i = 0;
        for (; i <= halves.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(halves[i..]), out var low, out var high);
            var second = sums[(i + Vector<float>.Count)..];
            (new Vector<float>(sums[i..]) + Vector.AsVectorSingle(low << 16)).CopyTo(sums[i..]);
            (new Vector<float>(second) + Vector.AsVectorSingle(high << 16)).CopyTo(second);
        }

        for (; i < halves.Length; i++)
        {
            sums[i] += Widen(halves[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Round(ReadOnlySpan<float> floats, Span<ushort> halves)
    {
        var i = 0;
        for (; i <= halves.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Narrow(Rounded(new Vector<float>(floats[i..])), Rounded(new Vector<float>(floats[(i + Vector<float>.Count)..]))).CopyTo(halves[i..]);
        }

        for (; i < halves.Length; i++)
        {
            halves[i] = Round(floats[i]);
        }
    }

    private static float Widen(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);

    // To nearest, ties to even, by a carry out of the lower half; what is no number stays none.
    private static ushort Round(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (bits & 0x7FFF_FFFF) > Infinity ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static Vector<uint> Rounded(Vector<float> values)
    {
        var bits = Vector.AsVectorUInt32(values);
        var rounded = (bits + new Vector<uint>(0x7FFF) + ((bits >> 16) & Vector<uint>.One)) >> 16;
        return Vector.ConditionalSelect(Vector.GreaterThan(bits & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(Infinity)), new Vector<uint>(0x7FC0), rounded);
    }
}
