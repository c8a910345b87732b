using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>Access to a tensor's elements in place.</summary>
internal static unsafe partial class TensorMemory
{
    /// <summary>Whether the processor has vectors that kernels are written for (<see cref="ILanes{TSelf}"/>), and multiplies and adds them in one instruction.</summary>
    public static bool HasVectors => Vector512.IsHardwareAccelerated || (Vector256.IsHardwareAccelerated && Fma.IsSupported);

    /// <summary>Whether kernels read and write a format. They have no 16-bit floats of 5 exponent bits, which CPUs do not compute in.</summary>
    public static bool HasKernels(ScalarType format) => format is ScalarType.Float32 or ScalarType.BFloat16;

    /// <summary>Whether kernels are the fastest way on the tensor: it lies on a CPU with vectors, its rows one after the other and a whole number of vectors long.</summary>
    public static bool SuitsKernels(Tensor tensor) => SuitsKernelsElementwise(tensor) && tensor.shape[^1] % Element.Lanes == 0;

    /// <summary>Whether kernels that treat every element alike can work on the tensor.</summary>
    public static bool SuitsKernelsElementwise(Tensor tensor) =>
        HasVectors && HasKernels(tensor.dtype) && tensor.device_type == TorchSharp.DeviceType.CPU && tensor.is_contiguous();

    /// <summary>The address of the first element. The tensor must outlive its use.</summary>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
        => (T*)ElementAddress(tensor.Handle);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint ElementAddress(nint handle);
}
