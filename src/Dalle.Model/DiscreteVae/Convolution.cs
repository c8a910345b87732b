using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Dalle.Model.DiscreteVae;

/// <summary>A convolution of odd kernel size that keeps height and width. Checkpoint keys: <c>name.w [to, from, kernel, kernel]</c> and <c>name.b [to]</c>.</summary>
internal sealed class Convolution(ParameterStore parameters, string name)
{
    private readonly Tensor _weight = parameters[$"{name}.w"];
    private readonly Tensor _bias = parameters[$"{name}.b"];
    private readonly long[] _padding = [parameters[$"{name}.w"].shape[3] / 2];

    /// <summary>The declaration: w ~ N(0, 1 / (from * kernel^2)), b = 0.</summary>
    public static IEnumerable<ParameterSpec> Declare(string name, int from, int to, int kernel, ParameterKind kind = ParameterKind.Weight) =>
    [
        new($"{name}.w", kind, 0, 1 / Math.Sqrt(from * kernel * kernel), to, from, kernel, kernel),
        new($"{name}.b", ParameterKind.Bias, 0, 0, to),
    ];

    /// <summary>Maps <c>[B, from, H, W]</c> to <c>[B, to, H, W]</c>, computing in the weight's format, which the input must have.</summary>
    public Tensor Forward(Tensor x_BCHW) => functional.conv2d(x_BCHW, _weight, _bias.to(_weight.dtype), padding: _padding);

    /// <summary>Of a 1x1 convolution, what it maps each input channel to, without the bias: <c>[from, to]</c>, a view.</summary>
    public Tensor Columns => _weight.flatten(1).t();

    /// <summary>A 1x1 convolution as a matrix product over rows: <c>[N, from]</c> to <c>[N, to]</c>.</summary>
    public Tensor ForwardRows(Tensor rows_NC) => functional.linear(rows_NC, _weight.flatten(1), _bias);

    /// <summary>A 1x1 convolution of one-hot rows without making them: codes <c>int64 [N]</c> to <c>[N, to]</c>.</summary>
    public Tensor ForwardCodes(Tensor codes_N) => Columns.index_select(0, codes_N).add_(_bias, One);
}
