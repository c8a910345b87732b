using System.Runtime.CompilerServices;

namespace Dalle.Model.Kernels;

/// <summary>
/// The arithmetic of 16-bit formats with 6 exponent bits (<see cref="Parameters.Float1x6x9"/> and <see cref="Parameters.Float0x6x10"/>): in a vector and one by one, to the same bits. With 9 mantissa
/// bits there is room for a sign; with 10 there is none. Every code is a finite number: exponents 1 to 63 stand for 2^-59 to 2^3, 0 for the subnormal numbers.
/// </summary>
/// <remarks>The mantissa's length is a constant wherever this is called, and these are inlined: what depends on it alone costs nothing.</remarks>
internal static unsafe class SixExponentBits
{
    public const int WithSign = 9, WithoutSign = 10;

    public const float SmallestNormal = 1f / (1L << 59);

    // From this exponent's bias, 60, to a 32-bit float's.
    private const uint Rebias = (127 - 60) << 23;
    private const uint Sign = 0x8000;

    /// <summary>The largest number, just under 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(int mantissa) => 16 - (8f / (1 << mantissa));

    // The number whose last bit is worth the smallest subnormal one: adding it rounds to a multiple of that, ties to even, and leaves the multiple in the lowest bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Rounder(int mantissa) => (uint)(127 - 59 - mantissa + 23) << 23;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(ushort* source, int mantissa)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var code = TLanes.LoadCodes(source);
        var magnitude = mantissa == WithSign ? TLanes.And(code, TLanes.CreateBits(Sign - 1)) : code;
        var normal = TLanes.AddBits(TLanes.ShiftLeft(magnitude, 23 - mantissa), TLanes.CreateBits(Rebias));
        var subnormal = normal + normal - TLanes.Create(SmallestNormal);
        var value = TLanes.SelectBelow(normal, SmallestNormal, subnormal, normal);
        return mantissa == WithSign ? TLanes.Or(value, TLanes.ShiftLeft(TLanes.And(code, TLanes.CreateBits(Sign)), 16)) : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TLanes>(TLanes value, ushort* target, int mantissa)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var dropped = 23 - mantissa;
        var positive = mantissa == WithSign ? TLanes.And(value, TLanes.CreateBits(0x7FFF_FFFF)) : TLanes.Max(value, default);
        var magnitude = TLanes.Min(positive, TLanes.Create(Largest(mantissa)));
        var odd = TLanes.And(TLanes.ShiftRight(magnitude, dropped), TLanes.CreateBits(1));
        var rounded = TLanes.AddBits(TLanes.AddBits(magnitude, odd), TLanes.CreateBits((1u << (dropped - 1)) - 1 - Rebias));
        var normal = TLanes.ShiftRight(rounded, dropped);
        var subnormal = TLanes.AddBits(magnitude + TLanes.CreateBits(Rounder(mantissa)), TLanes.CreateBits(0 - Rounder(mantissa)));
        var code = TLanes.SelectBelow(magnitude, SmallestNormal, subnormal, normal);
        (mantissa == WithSign ? TLanes.Or(code, TLanes.And(TLanes.ShiftRight(value, 16), TLanes.CreateBits(Sign))) : code).StoreCodes(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Decode(ushort code, int mantissa)
    {
        var magnitude = mantissa == WithSign ? code & (Sign - 1) : code;
        var normal = BitConverter.UInt32BitsToSingle((magnitude << (23 - mantissa)) + Rebias);
        var value = normal < SmallestNormal ? normal + normal - SmallestNormal : normal;
        return mantissa == WithSign && (code & Sign) != 0 ? -value : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Encode(float value, int mantissa)
    {
        var dropped = 23 - mantissa;
        var magnitude = Math.Min(mantissa == WithSign ? Math.Abs(value) : value > 0 ? value : 0, Largest(mantissa));
        var bits = BitConverter.SingleToUInt32Bits(magnitude);
        var code = magnitude < SmallestNormal
            ? BitConverter.SingleToUInt32Bits(magnitude + BitConverter.UInt32BitsToSingle(Rounder(mantissa))) - Rounder(mantissa)
            : (bits + ((bits >> dropped) & 1) + (1u << (dropped - 1)) - 1 - Rebias) >> dropped;
        return (ushort)(mantissa == WithSign && float.IsNegative(value) ? code | Sign : code);
    }
}

/// <summary>A number of 1 sign, 6 exponent and 9 mantissa bits.</summary>
internal unsafe struct SignedCode : IMoment<SignedCode>
{
    private ushort _code;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(SignedCode* source)
        where TLanes : unmanaged, ILanes<TLanes>
        => SixExponentBits.Load<TLanes>(&source->_code, SixExponentBits.WithSign);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TLanes>(TLanes value, SignedCode* target)
        where TLanes : unmanaged, ILanes<TLanes>
        => SixExponentBits.Store(value, &target->_code, SixExponentBits.WithSign);

    public static float Read(SignedCode* source) => SixExponentBits.Decode(source->_code, SixExponentBits.WithSign);

    public static void Write(float value, SignedCode* target) => target->_code = SixExponentBits.Encode(value, SixExponentBits.WithSign);
}

/// <summary>A number of 6 exponent and 10 mantissa bits, never negative.</summary>
internal unsafe struct UnsignedCode : IMoment<UnsignedCode>
{
    private ushort _code;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(UnsignedCode* source)
        where TLanes : unmanaged, ILanes<TLanes>
        => SixExponentBits.Load<TLanes>(&source->_code, SixExponentBits.WithoutSign);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TLanes>(TLanes value, UnsignedCode* target)
        where TLanes : unmanaged, ILanes<TLanes>
        => SixExponentBits.Store(value, &target->_code, SixExponentBits.WithoutSign);

    public static float Read(UnsignedCode* source) => SixExponentBits.Decode(source->_code, SixExponentBits.WithoutSign);

    public static void Write(float value, UnsignedCode* target) => target->_code = SixExponentBits.Encode(value, SixExponentBits.WithoutSign);
}
