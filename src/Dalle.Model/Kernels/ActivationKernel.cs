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
        if (x.dtype == ScalarType.BFloat16)
        {
            Forward<BFloat16>(x, slope, y);
        }
        else
        {
            Forward<Float32>(x, slope, y);
        }
    }

    /// <summary>Turns the output's gradient into the input's, in place.</summary>
    public static void Backward(Tensor gradient, Tensor x, float slope)
    {
        if (x.dtype == ScalarType.BFloat16)
        {
            Backward<BFloat16>(gradient, x, slope);
        }
        else
        {
            Backward<Float32>(gradient, x, slope);
        }
    }

    private static void Forward<T>(Tensor x, float slope, Tensor y)
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(y);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) => Forward(source + start, slope, target + start, end - start));
    }

    private static void Backward<T>(Tensor gradient, Tensor x, float slope)
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(gradient);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) => Backward(target + start, source + start, slope, end - start));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward<T>(T* x, float slope, T* y, long count)
        where T : unmanaged, IElement<T>
    {
        for (long i = 0; i < count; i += Element.Lanes)
        {
            var value = T.Load(x + i);
            T.Store(value * VectorFunctions.Sigmoid(value * slope), y + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward<T>(T* gradient, T* x, float slope, long count)
        where T : unmanaged, IElement<T>
    {
        for (long i = 0; i < count; i += Element.Lanes)
        {
            var value = T.Load(x + i);
            var gate = VectorFunctions.Sigmoid(value * slope);
            var derivative = gate * (Vector512<float>.One + (value * slope * (Vector512<float>.One - gate)));
            T.Store(T.Load(gradient + i) * derivative, gradient + i);
        }
    }
}
