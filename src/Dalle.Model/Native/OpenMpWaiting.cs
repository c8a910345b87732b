using System.Runtime.InteropServices;

namespace Dalle.Model.Native;

/// <summary>
/// How libtorch's threads wait for each other. By default GNU's OpenMP spins for milliseconds before it sleeps: beside
/// another busy process it takes the time that the thread waited for needs (an update of a small network then takes two to three times as long).
/// </summary>
internal static unsafe class OpenMpWaiting
{
    /// <summary>Lets waiting threads sleep after 1,000 turns of the spin. To be called before libtorch is loaded; what the environment says already stands.</summary>
    public static void SpinBriefly()
    {
        // The runtime's own copy of the environment is not the one that C libraries read.
        if (NativeLibrary.TryLoad("libc.so.6", out var libc) && NativeLibrary.TryGetExport(libc, "setenv", out var address))
        {
            fixed (byte* name = "GOMP_SPINCOUNT\0"u8, value = "1000\0"u8)
            {
                ((delegate* unmanaged<byte*, byte*, int, int>)address)(name, value, 0);
            }
        }
    }
}
