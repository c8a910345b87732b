using System.Runtime.InteropServices;
using Dalle.Model.Native;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Native;

public sealed class TorchRuntimeTests
{
    [Fact]
    public void MatrixProduct_InATestHost_GivesTheExactValue()
    {
        using var scope = NewDisposeScope();

        var product = tensor(new float[] { 1, 2, 3, 4 }, 2, 2).mm(tensor(new float[] { 5, 6, 7, 8 }, 2, 2));

        Assert.Equal([19, 22, 43, 50], product.data<float>().ToArray());
    }

    [Fact]
    public void MatrixProduct_RoutedToOneDnn_StaysAccurate()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        var a = randn([256, 256], generator: generator);

        var error = (a.mm(a) - a.@double().mm(a.@double())).abs().max().item<double>();

        Assert.InRange(error, 0, 1e-3);
    }

    [Fact]
    public unsafe void Initialize_SetsTheWaitingOfLibtorchsThreads_InTheEnvironmentThatItReads()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        TorchRuntime.Initialize();
        var getenv = (delegate* unmanaged<byte*, byte*>)NativeLibrary.GetExport(NativeLibrary.Load("libc.so.6"), "getenv");
        fixed (byte* name = "GOMP_SPINCOUNT\0"u8)
        {
            Assert.Equal(Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") ?? "1000", Marshal.PtrToStringUTF8((nint)getenv(name)));
        }
    }

    [Fact]
    public void UseThreads_BelowOne_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => TorchRuntime.UseThreads(0));

    [Fact]
    public void UseThreads_HoldsForTheCallingThread()
    {
        var threads = 0;
        var worker = new Thread(() =>
        {
            TorchRuntime.UseThreads(1);
            threads = get_num_threads();
        });

        worker.Start();
        worker.Join();

        Assert.Equal(1, threads);
    }
}
