using System.Runtime.CompilerServices;

namespace Dalle.Model.Kernels;

/// <summary>Functions of the numbers of a vector.</summary>
internal static class VectorFunctions
{
    /// <summary>e to the power of x, to about two units in the last place; 0 below -87.</summary>
    /// <remarks>2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes, expf). Three times as fast as the library's, which goes through 64 bit.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Exp<TLanes>(TLanes x)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        const float Smallest = -87, Largest = 88;
        var within = TLanes.Min(TLanes.Max(x, TLanes.Create(Smallest)), TLanes.Create(Largest));
        var n = TLanes.Round(within * TLanes.Create(1.44269504f));
        var r = TLanes.FusedMultiplyAdd(n, TLanes.Create(-0.693359375f), within);
        r = TLanes.FusedMultiplyAdd(n, TLanes.Create(2.12194440e-4f), r);
        var p = TLanes.FusedMultiplyAdd(TLanes.Create(1.9875691500e-4f), r, TLanes.Create(1.3981999507e-3f));
        p = TLanes.FusedMultiplyAdd(p, r, TLanes.Create(8.3334519073e-3f));
        p = TLanes.FusedMultiplyAdd(p, r, TLanes.Create(4.1665795894e-2f));
        p = TLanes.FusedMultiplyAdd(p, r, TLanes.Create(1.6666665459e-1f));
        p = TLanes.FusedMultiplyAdd(p, r, TLanes.Create(0.5f));
        p = TLanes.FusedMultiplyAdd(p, r * r, r + TLanes.Create(1));
        return TLanes.ZeroBelow(x, Smallest, p * TLanes.PowerOfTwo(n));
    }

    /// <summary>The logistic function, 1 / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Sigmoid<TLanes>(TLanes x)
        where TLanes : unmanaged, ILanes<TLanes>
        => TLanes.Create(1) / (TLanes.Create(1) + Exp(-x));
}
