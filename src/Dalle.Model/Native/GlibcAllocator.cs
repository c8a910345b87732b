using System.Runtime.InteropServices;

namespace Dalle.Model.Native;

/// <summary>
/// Keeps freed tensor memory inside the process. By default glibc maps and unmaps every large block, and the page faults of a training step's
/// activations cost as much as its arithmetic.
/// </summary>
internal static unsafe class GlibcAllocator
{
    // malloc.h
    private const int TrimThreshold = -1, TopPad = -2, MapThreshold = -3, MapLimit = -4;

    /// <summary>Sets the process's allocator. Without effect where the C library is not glibc.</summary>
    public static void KeepFreedMemory()
    {
        if (!NativeLibrary.TryLoad("libc.so.6", out var libc) || !NativeLibrary.TryGetExport(libc, "mallopt", out var address))
        {
            return;
        }

        var set = (delegate* unmanaged<int, int, int>)address;
        set(MapThreshold, int.MaxValue);
        set(TrimThreshold, int.MaxValue);
        set(MapLimit, 0);
        set(TopPad, 512 << 20);
    }

    /// <summary>Gives what is free back to the system. Without effect where the C library is not glibc.</summary>
    public static void ReleaseFreedMemory()
    {
        if (NativeLibrary.TryLoad("libc.so.6", out var libc) && NativeLibrary.TryGetExport(libc, "malloc_trim", out var address))
        {
            ((delegate* unmanaged<nuint, int>)address)(0);
        }
    }
}
