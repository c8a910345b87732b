using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dalle.Model.Kernels;

/// <summary>Arrays of 32-bit floats to 16-bit codes and back, on the calling thread.</summary>
internal static unsafe class CodeKernel
{
    /// <exception cref="ArgumentException">The target is shorter than the source, or a value is not finite; then it is not said which codes were written.</exception>
    public static void Encode<TCode>(ReadOnlySpan<float> source, Span<ushort> target)
        where TCode : unmanaged, IMoment<TCode>
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Encode<Lanes16, TCode>(source, target);
        }
        else
        {
            Encode<Lanes8, TCode>(source, target);
        }
    }

    /// <exception cref="ArgumentException">The target is shorter than the source.</exception>
    public static void Decode<TCode>(ReadOnlySpan<ushort> source, Span<float> target)
        where TCode : unmanaged, IMoment<TCode>
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Decode<Lanes16, TCode>(source, target);
        }
        else
        {
            Decode<Lanes8, TCode>(source, target);
        }
    }

    /// <summary><see cref="Encode{TCode}(ReadOnlySpan{float}, Span{ushort})"/> with vectors of one length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Encode<TLanes, TCode>(ReadOnlySpan<float> source, Span<ushort> target)
        where TLanes : unmanaged, ILanes<TLanes>
        where TCode : unmanaged, IMoment<TCode>
    {
        RequireRoom(source.Length, target.Length);

        // Zero times what is not finite is no number, and stays so in the sum.
        TLanes tally = default;
        float rest = 0;
        fixed (float* from = source)
        fixed (ushort* to = target)
        {
            var i = 0;
            for (; i <= source.Length - TLanes.Count; i += TLanes.Count)
            {
                var value = TLanes.Load(from + i);
                tally += value * default(TLanes);
                TCode.Store(value, (TCode*)(to + i));
            }

            for (; i < source.Length; i++)
            {
                rest += from[i] * 0;
                TCode.Write(from[i], (TCode*)(to + i));
            }
        }

        if (float.IsNaN(TLanes.Sum(tally) + rest))
        {
            var at = source.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
            throw new ArgumentException($"Expected finite values, got {source[at]} at {at}.", nameof(source));
        }
    }

    /// <summary><see cref="Decode{TCode}(ReadOnlySpan{ushort}, Span{float})"/> with vectors of one length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Decode<TLanes, TCode>(ReadOnlySpan<ushort> source, Span<float> target)
        where TLanes : unmanaged, ILanes<TLanes>
        where TCode : unmanaged, IMoment<TCode>
    {
        RequireRoom(source.Length, target.Length);
        fixed (ushort* from = source)
        fixed (float* to = target)
        {
            var i = 0;
            for (; i <= source.Length - TLanes.Count; i += TLanes.Count)
            {
                TCode.Load<TLanes>((TCode*)(from + i)).Store(to + i);
            }

            for (; i < source.Length; i++)
            {
                to[i] = TCode.Read((TCode*)(from + i));
            }
        }
    }

    private static void RequireRoom(int source, int target)
    {
        if (target < source)
        {
            throw new ArgumentException($"Expected room for {source} numbers, got {target}.", nameof(target));
        }
    }
}
