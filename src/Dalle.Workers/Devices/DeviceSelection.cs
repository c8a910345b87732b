using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Workers.Devices;

/// <summary>Which device a host computes on, by name.</summary>
internal static class DeviceSelection
{
    /// <summary>What <see cref="Of"/> takes.</summary>
    public const string Pattern = "auto|cpu|cuda(:[0-9]{1,3})?";

    /// <summary>The first graphics card if libtorch finds one, else the processor.</summary>
    public const string Automatic = "auto";

    /// <param name="name"><c>cpu</c>, <c>cuda</c> for the first graphics card, <c>cuda:1</c> for the second, or <see cref="Automatic"/>.</param>
    /// <exception cref="InvalidOperationException">libtorch finds no such graphics card.</exception>
    public static Device Of(string name)
    {
        var cards = name == "cpu" ? 0 : GraphicsCards();
        if (name == "cpu" || (name == Automatic && cards == 0))
        {
            return CPU;
        }

        var index = name.Split(':') is [_, var number] ? int.Parse(number, CultureInfo.InvariantCulture) : 0;
        return index < cards ? device(DeviceType.CUDA, index) : throw new InvalidOperationException(
            $"WorkerOptions.Device: expected a device that libtorch finds, got '{name}'; it finds {cards} graphics cards. NVIDIA's need a build with -p:TorchBackend=cuda and their driver.");
    }

    // A build for the processor alone has no library to ask.
    private static int GraphicsCards() =>
        NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "torch_cuda" : "libtorch_cuda.so", typeof(torch).Assembly, searchPath: null, out _) && cuda.is_available()
            ? cuda.device_count()
            : 0;
}
