using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>Access to a tensor's elements in place.</summary>
internal static unsafe partial class TensorMemory
{
    /// <summary>Whether kernels can work on the tensor: it lies on the CPU, its rows one after the other and a whole number of vectors long.</summary>
    public static bool SuitsKernels(Tensor tensor) => tensor.device_type == TorchSharp.DeviceType.CPU && tensor.shape[^1] % Element.Lanes == 0 && tensor.is_contiguous();

    /// <summary>Whether kernels that treat every element alike can work on the tensor.</summary>
    public static bool SuitsKernelsElementwise(Tensor tensor) => tensor.device_type == TorchSharp.DeviceType.CPU && tensor.is_contiguous();

    /// <summary>The address of the first element. The tensor must outlive its use.</summary>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
        => (T*)ElementAddress(tensor.Handle);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint ElementAddress(nint handle);
}
