using Dalle.Model.Kernels;
using Dalle.Model.Parameters;

namespace Dalle.Model.Tests.Parameters;

/// <summary>The 16-bit formats of the optimiser's moments, code by code.</summary>
public sealed class SmallFloatTests
{
    private static readonly ushort[] AllCodes = [.. Enumerable.Range(0, 0x10000).Select(code => (ushort)code)];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void EveryCode_IsItsValue_AndTheValueIsItsCode(bool signed)
    {
        var reference = new ReferenceCode(signed);
        var values = Decode(signed, AllCodes);
        Assert.Equal(AllCodes.Select(code => (float)reference.Decode(code)), values);
        Assert.Equal(AllCodes.Select(code => reference.Decode(code)), values.Select(value => (double)value));
        Assert.Equal(AllCodes, Encode(signed, values));
        Assert.Equal(signed, float.IsNegative(values[0x8000]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Values_GrowWithTheirCodes(bool signed)
    {
        var values = Decode(signed, AllCodes)[..new ReferenceCode(signed).Codes];
        Assert.Equal(0, values[0]);
        Assert.All(values.Zip(values.Skip(1)), pair => Assert.True(pair.First < pair.Second));
    }

    [Fact]
    public void LargestAndSmallestValues_AreThePapers()
    {
        Assert.Equal((2 - (1f / 512)) * 8, Float1x6x9.Largest);
        Assert.Equal((2 - (1f / 1024)) * 8, Float0x6x10.Largest);
        Assert.Equal([Float1x6x9.Largest, -Float1x6x9.Largest, MathF.ScaleB(1, -68)], Decode(true, [0x7FFF, 0xFFFF, 1]));
        Assert.Equal([Float0x6x10.Largest, MathF.ScaleB(1, -69)], Decode(false, [0xFFFF, 1]));
    }

    // The halves between neighbouring codes are 32-bit floats, all of them.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AroundEveryHalfBetweenCodes_TheNearerCodeIsTaken_AndTheEvenOneAtIt(bool signed)
    {
        var reference = new ReferenceCode(signed);
        var source = new List<float>();
        var expected = new List<ushort>();
        for (var code = 0; code + 1 < reference.Codes; code++)
        {
            var half = (reference.Decode(code) + reference.Decode(code + 1)) / 2;
            Assert.Equal(half, (float)half);
            source.AddRange([MathF.BitDecrement((float)half), (float)half, MathF.BitIncrement((float)half)]);
            expected.AddRange([(ushort)code, (ushort)(code + (code % 2)), (ushort)(code + 1)]);
        }

        Assert.Equal(expected, Encode(signed, [.. source]));
        Assert.Equal(expected.Select(code => signed ? (ushort)(code | 0x8000) : (ushort)0), Encode(signed, [.. source.Select(value => -value)]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ValuesOutOfReach_BecomeTheLargest_OrZero(bool signed)
    {
        float[] source = [15.9999f, 16, 65504, float.MaxValue, float.Epsilon, MathF.ScaleB(1, -71), 0, -0f, -float.Epsilon, -float.MaxValue];
        ushort largest = signed ? (ushort)0x7FFF : (ushort)0xFFFF;
        ushort[] negative = signed ? [0x8000, 0x8000, 0xFFFF] : [0, 0, 0];
        Assert.Equal([largest, largest, largest, largest, 0, 0, 0, .. negative], Encode(signed, source));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void ValuesThatAreNotFinite_AreRefused_WhereverTheyStand(float value)
    {
        for (var at = 0; at < 37; at++)
        {
            var source = new float[37];
            source[at] = value;
            Assert.All([true, false], signed => Assert.Contains($"at {at}.", Assert.Throws<ArgumentException>(() => Encode(signed, source)).Message));
        }
    }

    [Fact]
    public void Targets_ThatAreTooShort_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => Float1x6x9.Encode(new float[3], new ushort[2]));
        Assert.Throws<ArgumentException>(() => Float0x6x10.Decode(new ushort[3], new float[2]));
    }

    // All finite bit patterns alike: most are out of reach, so as many again are drawn within.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void RandomArrays_OfAnyLength_AreTheReferencesWithVectorsOfEitherLength(bool signed)
    {
        var reference = new ReferenceCode(signed);
        var random = new Random(1);
        for (var round = 0; round < 300; round++)
        {
            var source = new float[random.Next(100)];
            for (var i = 0; i < source.Length; i++)
            {
                var bits = BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue));
                source[i] = i % 2 == 0 && float.IsFinite(bits) ? bits : (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-75, 7)));
            }

            ushort[] expected = [.. source.Select(reference.Encode)], codes8 = new ushort[source.Length], codes16 = new ushort[source.Length];
            float[] values8 = new float[source.Length], values16 = new float[source.Length];
            if (signed)
            {
                CodeKernel.Encode<Lanes8, SignedCode>(source, codes8);
                CodeKernel.Encode<Lanes16, SignedCode>(source, codes16);
                CodeKernel.Decode<Lanes8, SignedCode>(expected, values8);
                CodeKernel.Decode<Lanes16, SignedCode>(expected, values16);
            }
            else
            {
                CodeKernel.Encode<Lanes8, UnsignedCode>(source, codes8);
                CodeKernel.Encode<Lanes16, UnsignedCode>(source, codes16);
                CodeKernel.Decode<Lanes8, UnsignedCode>(expected, values8);
                CodeKernel.Decode<Lanes16, UnsignedCode>(expected, values16);
            }

            Assert.Equal(expected, codes8);
            Assert.Equal(expected, codes16);
            Assert.Equal(expected.Select(code => (float)reference.Decode(code)), values8);
            Assert.Equal(values8.Select(BitConverter.SingleToInt32Bits), values16.Select(BitConverter.SingleToInt32Bits));
        }
    }

    private static ushort[] Encode(bool signed, float[] source)
    {
        var codes = new ushort[source.Length];
        if (signed)
        {
            Float1x6x9.Encode(source, codes);
        }
        else
        {
            Float0x6x10.Encode(source, codes);
        }

        return codes;
    }

    private static float[] Decode(bool signed, ushort[] source)
    {
        var values = new float[source.Length];
        if (signed)
        {
            Float1x6x9.Decode(source, values);
        }
        else
        {
            Float0x6x10.Decode(source, values);
        }

        return values;
    }
}
