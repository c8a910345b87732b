using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>The activation x * sigmoid(slope * x) on the CPU, in one pass.</summary>
internal static unsafe class ActivationKernel
{
    private const int ElementsOfARange = 1 << 15;

    public static void Forward<T>(Tensor x, float slope, Tensor y)
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(y);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) =>
        {
            for (var i = start; i < end; i += Element.Lanes)
            {
                var value = T.Load(source + i);
                T.Store(value * VectorFunctions.Sigmoid(value * slope), target + i);
            }
        });
    }

    /// <summary>Turns the output's gradient into the input's, in place.</summary>
    public static void Backward<T>(Tensor gradient, Tensor x, float slope)
        where T : unmanaged, IElement<T>
    {
        var source = TensorMemory.Pointer<T>(x);
        var target = TensorMemory.Pointer<T>(gradient);
        CpuTeam.Run(x.numel(), ElementsOfARange, (_, start, end) =>
        {
            for (var i = start; i < end; i += Element.Lanes)
            {
                var value = T.Load(source + i);
                var gate = VectorFunctions.Sigmoid(value * slope);
                var derivative = gate * (Vector512<float>.One + (value * slope * (Vector512<float>.One - gate)));
                T.Store(T.Load(target + i) * derivative, target + i);
            }
        });
    }
}
