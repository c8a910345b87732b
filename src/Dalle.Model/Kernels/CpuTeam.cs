using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>
/// Runs C# loops on the threads that libtorch computes with. Threads of our own would compete with libtorch's for the cores.
/// What a part computes with libtorch stays on its thread. Where libtorch's thread library is not GNU's, the thread pool serves, and that is not so.
/// </summary>
internal static unsafe class CpuTeam
{
    private static readonly delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void> Parallel =
        (delegate* unmanaged<delegate* unmanaged<void*, void>, void*, uint, uint, void>)Find("GOMP_parallel");

    private static readonly delegate* unmanaged<int, void> SetThreads = (delegate* unmanaged<int, void>)Find("omp_set_num_threads");

    /// <summary>Runs the work once for every part, and returns when all are done. Which thread takes which part is left to chance, so parts must not share results.</summary>
    /// <param name="parts">Number of parts.</param>
    /// <param name="work">Called with the part's number.</param>
    public static void Run(int parts, Action<int> work)
    {
        var threads = Math.Min(parts, get_num_threads());
        if (threads <= 1)
        {
            for (var part = 0; part < parts; part++)
            {
                work(part);
            }

            return;
        }

        var round = new Round(parts, work);
        if (Parallel is null || SetThreads is null)
        {
            System.Threading.Tasks.Parallel.For(0, threads, _ => round.TakePart());
        }
        else
        {
            var handle = GCHandle.Alloc(round);
            Parallel(&TakePart, (void*)GCHandle.ToIntPtr(handle), (uint)threads, 0);
            handle.Free();
        }

        round.ThrowIfFailed();
    }

    /// <summary>Runs the work over the ranges that a count falls into. The ranges depend on nothing else, so what is summed by range comes out the same on any number of threads.</summary>
    /// <param name="count">Number of items.</param>
    /// <param name="length">Items of a range; the last may have fewer.</param>
    /// <param name="work">Called with the range's number, its start and its end.</param>
    public static void Run(long count, int length, Action<int, long, long> work) =>
        Run((int)((count + length - 1) / length), part => work(part, (long)part * length, Math.Min(count, (long)(part + 1) * length)));

    // One thread for what is called here, until the parts end: oneDNN would plan for all of them, and wait for those that never come. libtorch sets the
    // number itself when a thread first asks for it, so the asking comes first.
    [UnmanagedCallersOnly]
    private static void TakePart(void* handle)
    {
        get_num_threads();
        SetThreads(1);
        ((Round)GCHandle.FromIntPtr((nint)handle).Target!).TakePart();
    }

    // libtorch's own copy of the library: the symbol is looked up in libtorch's dependencies.
    private static nint Find(string symbol) =>
        OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("libtorch_cpu.so", typeof(TorchSharp.torch).Assembly, searchPath: null, out var library)
        && NativeLibrary.TryGetExport(library, symbol, out var address)
            ? address
            : 0;

    private sealed class Round(int parts, Action<int> work)
    {
        private int _taken;
        private Exception? _failure;

        public void TakePart()
        {
            try
            {
                for (var part = Interlocked.Increment(ref _taken); part <= parts; part = Interlocked.Increment(ref _taken))
                {
                    work(part - 1);
                }
            }
            catch (Exception error)
            {
                // Rethrown by Run: an exception must not unwind through libtorch's thread.
                Interlocked.CompareExchange(ref _failure, error, null);
            }
        }

        public void ThrowIfFailed()
        {
            if (_failure is not null)
            {
                ExceptionDispatchInfo.Throw(_failure);
            }
        }
    }
}
