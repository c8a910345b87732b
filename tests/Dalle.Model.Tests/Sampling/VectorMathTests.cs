using Dalle.Model.Kernels;
using Dalle.Model.Sampling;

namespace Dalle.Model.Tests.Sampling;

/// <summary>Vectors of 8 and of 16 give the same but for the rounding of sums, whatever the processor has.</summary>
public sealed unsafe class VectorMathTests
{
    private const int Width = 48, TextSlots = 21, ImageSlots = 16;

    [Fact]
    public void Normalize_InVectorsOfBothLengths_IsTheNormalDistributionOfTheRow()
    {
        var (x, gain, bias) = (Floats(1, Width), Floats(2, Width), Floats(3, Width));
        var (mean, spread) = (x.Average(), Math.Sqrt(x.Select(value => Math.Pow(value - x.Average(), 2)).Average() + 1e-5));
        var expected = x.Select((value, i) => (float)(((value - mean) / spread * gain[i]) + bias[i])).ToArray();
        var (narrow, wide) = (new float[Width], new float[Width]);

        fixed (float* from = x, scale = gain, shift = bias, eight = narrow, sixteen = wide)
        {
            VectorMath.Normalize<Lanes8>(from, scale, shift, eight, Width);
            VectorMath.Normalize<Lanes16>(from, scale, shift, sixteen, Width);
        }

        AssertClose(expected, narrow, 1e-5f);
        AssertClose(expected, wide, 1e-5f);
    }

    [Fact]
    public void Activate_InVectorsOfBothLengths_IsTheActivation()
    {
        var x = Floats(4, Width);
        var expected = x.Select(value => (float)(value / (1 + Math.Exp(-1.702 * value)))).ToArray();
        var (narrow, wide) = ((float[])x.Clone(), (float[])x.Clone());

        fixed (float* eight = narrow, sixteen = wide)
        {
            VectorMath.Activate<Lanes8>(eight, Width);
            VectorMath.Activate<Lanes16>(sixteen, Width);
        }

        AssertClose(expected, narrow, 1e-5f);
        AssertClose(expected, wide, 1e-5f);
    }

    [Fact]
    public void Attend_Of32BitEntries_InVectorsOfBothLengths_IsTheWeightedMeanOfTheValues() => AssertAttends<Float32>(1e-5f);

    [Fact]
    public void Attend_Of16BitEntries_InVectorsOfBothLengths_StaysNearIt() => AssertAttends<BFloat16>(0.03f);

    /// <summary>One head over a caption of 21 slots, of which two blocks are attended to, and an image of 16, of which every other slot is.</summary>
    private static void AssertAttends<TElement>(float tolerance)
        where TElement : unmanaged, IMoment<TElement>
    {
        var (keys, values) = (Floats(5, (TextSlots + ImageSlots) * Width), Floats(6, (TextSlots + ImageSlots) * Width));
        var query = Floats(7, Width).Select(value => value / 4).ToArray();
        using var text = new KeyValueCache<TElement>([2], Width, Width);
        using var image = new KeyValueCache<TElement>([1], Width, Width);
        fixed (float* key = keys, value = values)
        {
            for (var slot = 0; slot < TextSlots + ImageSlots; slot++)
            {
                var (cache, place) = slot < TextSlots ? (text, slot) : (image, slot - TextSlots);
                cache.Write(0, 0, place, key + (slot * Width), value + (slot * Width));
            }
        }

        int[] attended = [.. Enumerable.Range(0, TextSlots), .. Enumerable.Range(0, ImageSlots / 2).Select(i => TextSlots + (2 * i))];
        var weights = attended.Select(slot => Math.Exp(query.Select((component, i) => (double)component * keys[(slot * Width) + i]).Sum())).ToArray();
        var expected = Enumerable.Range(0, Width).Select(i => (float)(attended.Select((slot, n) => weights[n] * values[(slot * Width) + i]).Sum() / weights.Sum())).ToArray();

        AssertClose(expected, Attend<Lanes8, TElement>(query, text, image), tolerance);
        AssertClose(expected, Attend<Lanes16, TElement>(query, text, image), tolerance);
    }

    private static float[] Attend<TLanes, TElement>(float[] query, KeyValueCache<TElement> text, KeyValueCache<TElement> image)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged, IMoment<TElement>
    {
        var (scores, output) = (new float[3 * AttentionPlan.BlockSize], new float[Width]);
        fixed (float* asked = query, room = scores, result = output)
        {
            VectorMath.Attend<TLanes, TElement>(
                asked,
                new(text.Keys(0, 0), text.Values(0, 0), [new(0, 0xFFFF), new(1, 0b11111)]),
                new(image.Keys(0, 0), image.Values(0, 0), [new(0, 0x5555)]),
                Width, room, result);
        }

        return output;
    }

    private static float[] Floats(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((2 * random.NextDouble()) - 1))];
    }

    private static void AssertClose(float[] expected, float[] actual, float tolerance)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], tolerance);
        }
    }
}
