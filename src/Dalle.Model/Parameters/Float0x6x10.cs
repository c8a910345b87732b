using Dalle.Model.Kernels;

namespace Dalle.Model.Parameters;

/// <summary>
/// The paper's 16-bit format of running variances (appendix on mixed precision): 6 exponent and 10 mantissa bits, no sign. It reaches from 2^-69, the smallest subnormal number, to just under 16.
/// There are no infinities and no codes for what is no number: each of the 65,536 codes is finite, and a larger code is a larger value.
/// </summary>
public static class Float0x6x10
{
    /// <summary>The largest value, (2 - 2^-10) * 2^3 = 15.9921875.</summary>
    public const float Largest = 16 - (8f / (1 << 10));

    /// <summary>Rounds to the nearest code, ties to even. Finite values beyond <see cref="Largest"/> become it, negative ones 0.</summary>
    /// <inheritdoc cref="Float1x6x9.Encode"/>
    public static void Encode(ReadOnlySpan<float> source, Span<ushort> target) => CodeKernel.Encode<UnsignedCode>(source, target);

    /// <inheritdoc cref="Float1x6x9.Decode"/>
    public static void Decode(ReadOnlySpan<ushort> source, Span<float> target) => CodeKernel.Decode<UnsignedCode>(source, target);
}
