namespace Dalle.Model.Tests.Parameters;

/// <summary>A 16-bit format with 6 exponent bits, as one would write it down: slow, in 64 bit, with a search where a number is rounded.</summary>
/// <param name="signed">1 sign and 9 mantissa bits; else no sign and 10 mantissa bits.</param>
internal sealed class ReferenceCode(bool signed)
{
    private readonly int _mantissa = signed ? 9 : 10;

    /// <summary>Codes that are not negative; the value grows with the code.</summary>
    public int Codes => signed ? 0x8000 : 0x10000;

    public double Decode(int code)
    {
        var negative = signed && code >= Codes;
        var (exponent, fraction) = Math.DivRem(negative ? code - Codes : code, 1 << _mantissa);
        var value = exponent == 0
            ? fraction * Math.Pow(2, -59 - _mantissa)
            : (1 + (fraction / (double)(1 << _mantissa))) * Math.Pow(2, exponent - 60);
        return negative ? -value : value;
    }

    public ushort Encode(float value)
    {
        var sign = signed && float.IsNegative(value) ? Codes : 0;
        var magnitude = signed ? Math.Abs((double)value) : Math.Max(0, (double)value);
        int below = 0, above = Codes;
        while (above - below > 1)
        {
            var middle = (below + above) / 2;
            (below, above) = Decode(middle) <= magnitude ? (middle, above) : (below, middle);
        }

        if (above < Codes)
        {
            var (down, up) = (magnitude - Decode(below), Decode(above) - magnitude);
            below = up < down || (up == down && below % 2 == 1) ? above : below;
        }

        return (ushort)(below + sign);
    }
}
