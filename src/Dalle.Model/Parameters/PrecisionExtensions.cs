using Dalle.Model.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Parameters;

/// <summary>What a <see cref="Precision"/> means to libtorch and to a device.</summary>
public static class PrecisionExtensions
{
    /// <summary>The precision itself where the device computes in it by instructions of its own, else 32 bit: emulated, 16 bit takes tens of times longer.</summary>
    public static Precision On(this Precision precision, DeviceType device) =>
        device == DeviceType.CPU && (precision == Precision.Float16 || !Processor.MultipliesBFloat16) ? Precision.Float32 : precision;

    /// <summary>The element type that resblocks compute in.</summary>
    internal static ScalarType ToScalarType(this Precision precision) => precision switch
    {
        Precision.Float32 => ScalarType.Float32,
        Precision.BFloat16 => ScalarType.BFloat16,
        Precision.Float16 => ScalarType.Float16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "No such precision."),
    };
}
