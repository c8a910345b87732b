using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>The activation x * sigmoid(slope * x) on the CPU, in one pass.</summary>
internal static unsafe class ActivationKernel
{
    private const int ElementsOfARange = 1 << 15;

    public static void Forward(Tensor x, float slope, Tensor y)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Forward<Lanes16>(x, slope, y);
        }
        else
        {
            Forward<Lanes8>(x, slope, y);
        }
    }

    /// <summary>Turns the output's gradient into the input's, in place.</summary>
    public static void Backward(Tensor gradient, Tensor x, float slope)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Backward<Lanes16>(gradient, x, slope);
        }
        else
        {
            Backward<Lanes8>(gradient, x, slope);
        }
    }

    /// <summary><see cref="Forward(Tensor, float, Tensor)"/> with vectors of one length.</summary>
    public static void Forward<TLanes>(Tensor x, float slope, Tensor y)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        if (x.dtype == ScalarType.BFloat16)
        {
            Forward<TLanes, BFloat16>(x, slope, y);
        }
        else
        {
            Forward<TLanes, Float32>(x, slope, y);
        }
    }

    /// <summary><see cref="Backward(Tensor, Tensor, float)"/> with vectors of one length.</summary>
    public static void Backward<TLanes>(Tensor gradient, Tensor x, float slope)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        if (x.dtype == ScalarType.BFloat16)
        {
            Backward<TLanes, BFloat16>(gradient, x, slope);
        }
        else
        {
            Backward<TLanes, Float32>(gradient, x, slope);
        }
    }

    private static void Forward<TLanes, T>(Tensor x, float slope, Tensor y)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(y);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) => Forward<TLanes, T>(source + start, slope, target + start, end - start));
    }

    private static void Backward<TLanes, T>(Tensor gradient, Tensor x, float slope)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(gradient);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) => Backward<TLanes, T>(target + start, source + start, slope, end - start));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward<TLanes, T>(T* x, float slope, T* y, long count)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var factor = TLanes.Create(slope);
        for (long i = 0; i < count; i += TLanes.Count)
        {
            var value = T.Load<TLanes>(x + i);
            T.Store(value * VectorFunctions.Sigmoid(value * factor), y + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward<TLanes, T>(T* gradient, T* x, float slope, long count)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var factor = TLanes.Create(slope);
        for (long i = 0; i < count; i += TLanes.Count)
        {
            var value = T.Load<TLanes>(x + i);
            var gate = VectorFunctions.Sigmoid(value * factor);
            var derivative = gate * (TLanes.Create(1) + (value * factor * (TLanes.Create(1) - gate)));
            T.Store(T.Load<TLanes>(gradient + i) * derivative, gradient + i);
        }
    }
}
