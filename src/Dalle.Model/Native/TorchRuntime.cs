using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Dalle.Model.Native;

/// <summary>Makes libtorch ready for use in this process and on a thread.</summary>
public static class TorchRuntime
{
    private static readonly Lock Gate = new();
    private static bool _initialized;
    private static bool _routed;

    /// <summary>
    /// Prepares the process: the native library is found on every supported system, freed tensor memory is kept, and threads that wait for each other sleep.
    /// Runs by itself when this assembly is first used; a program that may touch <c>torch</c> before calls it first. Repeating it is a no-op.
    /// </summary>
    [ModuleInitializer]
    public static void Initialize()
    {
        lock (Gate)
        {
            if (_initialized || !OperatingSystem.IsLinux())
            {
                return;
            }

            GlibcAllocator.KeepFreedMemory();
            OpenMpWaiting.SpinBriefly();
            TorchSharpLibrary.OfferToRuntime();
            _initialized = true;
        }
    }

    /// <summary>Gives the memory of freed tensors back to the system: for the end of a stage, whose memory the next one does not need.</summary>
    public static void ReleaseFreedMemory()
    {
        if (OperatingSystem.IsLinux())
        {
            GlibcAllocator.ReleaseFreedMemory();
        }
    }

    /// <summary>Prepares the calling thread for computing. Results depend on the number to the last bit, so it belongs to a job, not to a machine.</summary>
    /// <param name="threads">libtorch threads that operations called from this thread use, the thread itself included; at least 1.</param>
    public static void UseThreads(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        set_num_threads(threads);
        lock (Gate)
        {
            if (!_routed)
            {
                MatrixProducts.RouteToOneDnn();
                Nnpack.Disable();
                _routed = true;
            }
        }
    }
}
