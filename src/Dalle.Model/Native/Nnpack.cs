using System.Runtime.InteropServices;

namespace Dalle.Model.Native;

/// <summary>A convolution library that libtorch tries for single pictures. Where it does not know the processor it fails and writes a line to standard error, every time.</summary>
internal static unsafe class Nnpack
{
    /// <summary>Leaves it out for the whole process; TorchSharp must be loaded. Without effect where libtorch does not export the setting.</summary>
    public static void Disable()
    {
        if (OperatingSystem.IsLinux()
            && NativeLibrary.TryLoad("libtorch_cpu.so", typeof(TorchSharp.torch).Assembly, searchPath: null, out var library)
            && NativeLibrary.TryGetExport(library, "_ZN2at13globalContextEv", out var context)
            && NativeLibrary.TryGetExport(library, "_ZN2at7Context20setUserEnabledNNPACKEb", out var set))
        {
            ((delegate* unmanaged<void*, byte, void>)set)(((delegate* unmanaged<void*>)context)(), 0);
        }
    }
}
