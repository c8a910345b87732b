using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>Access to a tensor's elements in place.</summary>
internal static unsafe partial class TensorMemory
{
    /// <summary>Whether kernels are the fastest way on the tensor: it lies on a CPU with long vectors, its rows one after the other and a whole number of vectors long.</summary>
    public static bool SuitsKernels(Tensor tensor) => SuitsKernelsElementwise(tensor) && tensor.shape[^1] % Element.Lanes == 0;

    /// <summary>Whether kernels that treat every element alike can work on the tensor.</summary>
    public static bool SuitsKernelsElementwise(Tensor tensor) => Vector512.IsHardwareAccelerated && tensor.device_type == TorchSharp.DeviceType.CPU && tensor.is_contiguous();

    /// <summary>The address of the first element. The tensor must outlive its use.</summary>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
        => (T*)ElementAddress(tensor.Handle);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint ElementAddress(nint handle);
}
