using System.Runtime.InteropServices;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>Numbers whose sum depends on the order they are added in, and that sum made the slow way.</summary>
internal static class Numbers
{
    public static float[] Of(int rank, int length)
    {
        var random = new Random((rank * 1000) + length);
        var numbers = new float[length];
        foreach (ref var number in numbers.AsSpan())
        {
            number = (random.NextSingle() - 0.5f) * MathF.ScaleB(1, random.Next(-20, 20));
        }

        return numbers;
    }

    /// <summary>In rank order, one addition after the other.</summary>
    public static float[] Sum(int ranks, int length)
    {
        var sum = Of(0, length);
        for (var rank = 1; rank < ranks; rank++)
        {
            var term = Of(rank, length);
            for (var i = 0; i < length; i++)
            {
                sum[i] += term[i];
            }
        }

        return sum;
    }

    /// <summary>The same numbers without their lower halves, as bits.</summary>
    public static ushort[] HalvesOf(int rank, int length) => [.. Of(rank, length).Select(number => (ushort)(BitConverter.SingleToUInt32Bits(number) >> 16))];

    public static float Widen(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);

    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) =>
        Assert.True(MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(actual)), $"{expected.Length} numbers expected, {actual.Length} came, and they differ.");
}
