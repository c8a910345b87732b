using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dalle.Model.Kernels;

/// <summary>A number format that kernels read and write; they compute in 32 bit.</summary>
internal unsafe interface IElement<TSelf>
    where TSelf : unmanaged, IElement<TSelf>
{
    /// <summary>Reads <see cref="Element.Lanes"/> elements.</summary>
    static abstract Vector512<float> Load(TSelf* source);

    /// <summary>Writes <see cref="Element.Lanes"/> elements, rounded to the nearest, ties to even.</summary>
    static abstract void Store(Vector512<float> value, TSelf* target);
}

/// <summary>Constants of <see cref="IElement{TSelf}"/>.</summary>
internal static class Element
{
    /// <summary>Elements that are computed side by side.</summary>
    public const int Lanes = 16;
}

/// <summary>A 32-bit float.</summary>
internal unsafe struct Float32 : IElement<Float32>
{
    private float _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(Float32* source) => Vector512.Load(&source->_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, Float32* target) => value.Store(&target->_value);
}

/// <summary>The upper half of a 32-bit float.</summary>
internal unsafe struct BFloat16 : IElement<BFloat16>
{
    private ushort _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(BFloat16* source) =>
        (Vector512.WidenLower(Vector256.Load(&source->_value).ToVector512Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, BFloat16* target)
    {
        var bits = value.AsUInt32();
        var rounded = (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        Vector512.Narrow(rounded, rounded).GetLower().Store(&target->_value);
    }
}
