using Dalle.Model.Kernels;

namespace Dalle.Model.Parameters;

/// <summary>
/// The paper's 16-bit format of running means and error buffers (appendix on mixed precision): 1 sign, 6 exponent and 9 mantissa bits. It reaches from 2^-68, the smallest subnormal number, to
/// just under 16. There are no infinities and no codes for what is no number: each of the 65,536 codes is finite, two of them zeros.
/// </summary>
public static class Float1x6x9
{
    /// <summary>The largest value, (2 - 2^-9) * 2^3 = 15.984375.</summary>
    public const float Largest = 16 - (8f / (1 << 9));

    /// <summary>Rounds to the nearest code, ties to even. Finite values beyond <see cref="Largest"/> become it, with their sign; zeros keep theirs.</summary>
    /// <param name="source">The values.</param>
    /// <param name="target">Receives as many codes.</param>
    /// <exception cref="ArgumentException">The target is shorter than the source, or a value is infinite or no number, which the format cannot tell; then it is not said which codes were written.</exception>
    public static void Encode(ReadOnlySpan<float> source, Span<ushort> target) => CodeKernel.Encode<SignedCode>(source, target);

    /// <summary>The exact values of codes.</summary>
    /// <param name="source">The codes.</param>
    /// <param name="target">Receives as many values.</param>
    /// <exception cref="ArgumentException">The target is shorter than the source.</exception>
    public static void Decode(ReadOnlySpan<ushort> source, Span<float> target) => CodeKernel.Decode<SignedCode>(source, target);
}
