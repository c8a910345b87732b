using System.Runtime.CompilerServices;
using Dalle.Model.Native;

namespace Dalle.Tests;

/// <summary>Prepares libtorch before the first test of a host, which may touch it before any type of the projects under test.</summary>
internal static class TorchInitializer
{
    [ModuleInitializer]
    internal static void Run()
    {
        TorchRuntime.Initialize();
        TorchRuntime.UseThreads(2);
    }
}
