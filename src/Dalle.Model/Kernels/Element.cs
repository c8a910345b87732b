using System.Runtime.CompilerServices;

namespace Dalle.Model.Kernels;

/// <summary>A number format that kernels read and write; they compute in 32 bit.</summary>
internal unsafe interface IElement<TSelf>
    where TSelf : unmanaged, IElement<TSelf>
{
    /// <summary>Reads a vector of elements.</summary>
    static abstract TLanes Load<TLanes>(TSelf* source)
        where TLanes : unmanaged, ILanes<TLanes>;

    /// <summary>Writes a vector of elements, rounded to the nearest, ties to even.</summary>
    static abstract void Store<TLanes>(TLanes value, TSelf* target)
        where TLanes : unmanaged, ILanes<TLanes>;
}

/// <summary>A number format that kernels also read and write one by one: arrays of any length.</summary>
internal unsafe interface IMoment<TSelf> : IElement<TSelf>
    where TSelf : unmanaged, IMoment<TSelf>
{
    /// <summary>Reads one element.</summary>
    static abstract float Read(TSelf* source);

    /// <summary>Writes one element, rounded as vectors are.</summary>
    static abstract void Write(float value, TSelf* target);
}

/// <summary>Constants of <see cref="IElement{TSelf}"/>.</summary>
internal static class Element
{
    /// <summary>Kernels work on rows of a multiple of this many elements: a whole number of vectors of any length (<see cref="ILanes{TSelf}"/>).</summary>
    public const int Lanes = 16;
}

/// <summary>A 32-bit float.</summary>
internal unsafe struct Float32 : IMoment<Float32>
{
    private float _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(Float32* source)
        where TLanes : unmanaged, ILanes<TLanes>
        => TLanes.Load(&source->_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TLanes>(TLanes value, Float32* target)
        where TLanes : unmanaged, ILanes<TLanes>
        => value.Store(&target->_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(Float32* source) => source->_value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(float value, Float32* target) => target->_value = value;
}

/// <summary>The upper half of a 32-bit float.</summary>
internal unsafe struct BFloat16 : IMoment<BFloat16>
{
    private ushort _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(BFloat16* source)
        where TLanes : unmanaged, ILanes<TLanes>
        => TLanes.LoadUpperHalves(&source->_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TLanes>(TLanes value, BFloat16* target)
        where TLanes : unmanaged, ILanes<TLanes>
        => value.StoreUpperHalves(&target->_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(BFloat16* source) => BitConverter.UInt32BitsToSingle((uint)source->_value << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(float value, BFloat16* target)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        target->_value = (ushort)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
    }
}
