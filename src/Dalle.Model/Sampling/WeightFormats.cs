using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dalle.Model.Sampling;

/// <summary>How the 64 weights of one input lie in memory.</summary>
internal unsafe interface IWeightFormat
{
    static abstract int FloatsPerInput { get; }

    static abstract void Load(float* w, out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3);

    /// <summary>Loads 16 of the weights: those of one of the tile's four parts.</summary>
    static abstract void Load(float* w, int part, out Vector256<float> w0, out Vector256<float> w1);
}

/// <summary>32-bit floats, output by output.</summary>
internal readonly unsafe struct SingleWeights : IWeightFormat
{
    public static int FloatsPerInput => PackedMatrix.TileWidth;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3)
    {
        w0 = Vector512.Load(w);
        w1 = Vector512.Load(w + PackedMatrix.Lanes);
        w2 = Vector512.Load(w + (2 * PackedMatrix.Lanes));
        w3 = Vector512.Load(w + (3 * PackedMatrix.Lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, int part, out Vector256<float> w0, out Vector256<float> w1)
    {
        w0 = Vector256.Load(w + (part * PackedMatrix.Lanes));
        w1 = Vector256.Load(w + (part * PackedMatrix.Lanes) + 8);
    }
}

/// <summary>bfloat16: of 32 outputs side by side, outputs n and n + 16 share a 32-bit lane, the first in its low half.</summary>
internal readonly unsafe struct HalfWeights : IWeightFormat
{
    public static int FloatsPerInput => PackedMatrix.TileWidth / 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3)
    {
        // A bfloat16 is the upper half of a float32.
        var (first, second) = (Vector512.Load((uint*)w), Vector512.Load((uint*)w + PackedMatrix.Lanes));
        var upper = Vector512.Create(0xFFFF0000u);
        w0 = (first << 16).AsSingle();
        w1 = (first & upper).AsSingle();
        w2 = (second << 16).AsSingle();
        w3 = (second & upper).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, int part, out Vector256<float> w0, out Vector256<float> w1)
    {
        var pairs = (uint*)w + (part / 2 * PackedMatrix.Lanes);
        var (first, second) = (Vector256.Load(pairs), Vector256.Load(pairs + 8));
        w0 = (part % 2 == 0 ? first << 16 : first & Vector256.Create(0xFFFF0000u)).AsSingle();
        w1 = (part % 2 == 0 ? second << 16 : second & Vector256.Create(0xFFFF0000u)).AsSingle();
    }
}

/// <summary>8-bit whole numbers: outputs n, n + 16, n + 32 and n + 48 share a 32-bit lane, the first in its lowest byte.</summary>
internal readonly unsafe struct ByteWeights : IWeightFormat
{
    public static int FloatsPerInput => PackedMatrix.TileWidth / 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3)
    {
        var bytes = Vector512.Load((int*)w);
        w0 = Vector512.ConvertToSingle(bytes << 24 >> 24);
        w1 = Vector512.ConvertToSingle(bytes << 16 >> 24);
        w2 = Vector512.ConvertToSingle(bytes << 8 >> 24);
        w3 = Vector512.ConvertToSingle(bytes >> 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(float* w, int part, out Vector256<float> w0, out Vector256<float> w1)
    {
        var unwanted = 8 * (3 - part);
        w0 = Vector256.ConvertToSingle(Vector256.Load((int*)w) << unwanted >> 24);
        w1 = Vector256.ConvertToSingle(Vector256.Load((int*)w + 8) << unwanted >> 24);
    }
}
