using Dalle.Model.Native;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Native;

/// <summary>Sets the number of threads that libtorch's operations use from this thread, until disposed.</summary>
internal sealed class LibtorchThreads : IDisposable
{
    private readonly int _before = get_num_threads();

    public LibtorchThreads(int threads) => TorchRuntime.UseThreads(threads);

    public static T Use<T>(int threads, Func<T> work)
    {
        using var used = new LibtorchThreads(threads);
        return work();
    }

    public void Dispose() => TorchRuntime.UseThreads(_before);
}
