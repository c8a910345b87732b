using static TorchSharp.torch;

namespace Dalle.Model.Parameters;

/// <summary>What a <see cref="Precision"/> means to libtorch.</summary>
internal static class PrecisionExtensions
{
    /// <summary>The element type that resblocks compute in.</summary>
    public static ScalarType ToScalarType(this Precision precision) => precision switch
    {
        Precision.Float32 => ScalarType.Float32,
        Precision.BFloat16 => ScalarType.BFloat16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "No such precision."),
    };
}
