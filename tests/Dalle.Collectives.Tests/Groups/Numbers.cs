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
            number = (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-6, 7));
        }

        return numbers;
    }

    /// <summary>In rank order, one addition after the other.</summary>
    public static float[] Sum(int ranks, int length)
    {
        var arrays = Enumerable.Range(0, ranks).Select(rank => Of(rank, length)).ToArray();
        return [.. Enumerable.Range(0, length).Select(i => arrays.Skip(1).Aggregate(arrays[0][i], (sum, array) => sum + array[i]))];
    }

    /// <summary>The same numbers without their lower halves, as bits.</summary>
    public static ushort[] HalvesOf(int rank, int length) => [.. Of(rank, length).Select(number => (ushort)(BitConverter.SingleToUInt32Bits(number) >> 16))];

    public static float Widen(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);

    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(BitConverter.SingleToUInt32Bits(expected[i]), BitConverter.SingleToUInt32Bits(actual[i]));
        }
    }
}
