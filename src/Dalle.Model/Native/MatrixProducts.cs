using System.Runtime.InteropServices;

namespace Dalle.Model.Native;

/// <summary>Sends 32-bit matrix products to oneDNN, which uses the whole vector unit of every make of processor; MKL, the default, holds some back to half.</summary>
internal static unsafe class MatrixProducts
{
    // at::Float32Backend, at::Float32Op, at::Float32Precision of libtorch 2.10.
    private const int OneDnn = 2, MatrixProduct = 3, LowestAllowed = 3;

    /// <summary>
    /// Changes the route for the whole process; TorchSharp must be loaded. Without effect where libtorch does not export the setting, and on processors with bfloat16 tiles:
    /// the route is one that allows less than 32 bit, and those would take it.
    /// </summary>
    public static void RouteToOneDnn()
    {
        if (OperatingSystem.IsLinux()
            && !Processor.HasBFloat16Tiles
            && NativeLibrary.TryLoad("libtorch_cpu.so", typeof(TorchSharp.torch).Assembly, searchPath: null, out var library)
            && NativeLibrary.TryGetExport(library, "_ZN2at13globalContextEv", out var context)
            && NativeLibrary.TryGetExport(library, "_ZN2at7Context19setFloat32PrecisionENS_14Float32BackendENS_9Float32OpENS_16Float32PrecisionE", out var set))
        {
            ((delegate* unmanaged<void*, int, int, int, void>)set)(((delegate* unmanaged<void*>)context)(), OneDnn, MatrixProduct, LowestAllowed);
        }
    }
}
