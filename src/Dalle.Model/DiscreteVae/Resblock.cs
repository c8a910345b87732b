using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>
/// A bottleneck resblock: identity path (a 1x1 convolution where the width changes) + gain * four times (ReLU, convolution), a quarter as wide inside.
/// The sum along the identity path stays 32 bit.
/// </summary>
internal sealed class Resblock
{
    /// <summary>Kernel sizes of the encoder's blocks; the decoder's are in reverse.</summary>
    public static readonly IReadOnlyList<int> EncoderKernels = [3, 3, 3, 1];

    private readonly Convolution? _identity;
    private readonly Convolution[] _residual;
    private readonly double _gain;
    private readonly ScalarType _format;

    public Resblock(ParameterStore parameters, string name, double gain)
    {
        _identity = parameters.Contains($"{name}.id_path.w") ? new Convolution(parameters, $"{name}.id_path") : null;
        _residual = [.. Enumerable.Range(1, EncoderKernels.Count).Select(i => new Convolution(parameters, $"{name}.res_path.conv_{i}"))];
        _gain = gain;
        _format = parameters.Precision.ToScalarType();
    }

    /// <summary>The declaration of a block from one width to another.</summary>
    public static IEnumerable<ParameterSpec> Declare(string name, int from, int to, IEnumerable<int> kernels)
    {
        var inner = to / 4;
        IEnumerable<ParameterSpec> identity = from == to ? [] : Convolution.Declare($"{name}.id_path", from, to, 1);
        return identity.Concat(kernels.SelectMany((kernel, i) =>
            Convolution.Declare($"{name}.res_path.conv_{i + 1}", i == 0 ? from : inner, i == 3 ? to : inner, kernel)));
    }

    /// <summary>Maps <c>[B, from, H, W]</c> to <c>[B, to, H, W]</c>, both float32.</summary>
    /// <param name="x_BCHW">The identity path.</param>
    /// <param name="upsample">
    /// Doubles height and width first. A 1x1 convolution at the front of a path commutes with it, so those run on the small grid: the same result for a quarter
    /// of the work.
    /// </param>
    public Tensor Forward(Tensor x_BCHW, bool upsample = false)
    {
        var rounded = x_BCHW.to(_format);
        var identity = _identity?.Forward(rounded) ?? x_BCHW;
        var residual = _residual[0].Forward(rounded.relu());
        if (upsample)
        {
            (identity, residual) = (Upsample(identity), Upsample(residual));
        }

        foreach (var convolution in _residual[1..])
        {
            residual = convolution.Forward(residual.relu_());
        }

        return identity.to(ScalarType.Float32).add(residual, Number(_gain));
    }

    private static Tensor Upsample(Tensor x) => nn.functional.interpolate(x, scale_factor: [2, 2], mode: InterpolationMode.Nearest);
}
