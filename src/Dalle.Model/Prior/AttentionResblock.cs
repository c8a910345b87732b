using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>Layer normalisation, masked self-attention, projection.</summary>
/// <remarks>The normalised input is not kept: it is cheap to compute again on the way back.</remarks>
internal sealed class AttentionResblock(ParameterStore parameters, string name, ScalarType compute, Attention attention) : Resblock(compute)
{
    private readonly LayerNorm _norm = new(parameters, name + "norm", compute);
    private readonly Linear _qkv = new(parameters, name + "qkv");
    private readonly Linear _output = new(parameters, name + "output");

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x_RC, Tape? tape)
    {
        using var scope = NewDisposeScope();
        var normal_RC = _norm.Forward(x_RC);
        var qkv_R3C = _qkv.Forward(normal_RC);
        var attended_RC = attention.Forward(qkv_R3C, tape);
        var output_RC = _output.Forward(attended_RC);
        tape?.Keep(attended_RC);
        tape?.Keep(qkv_R3C);
        return output_RC.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tape tape)
    {
        using var scope = NewDisposeScope();
        var qkv_R3C = tape.Take(scope);
        var attended_RC = tape.Take(scope);
        var attendedGradient_RC = _output.Backward(gradient_RC, attended_RC);
        var qkvGradient_R3C = attention.Backward(attendedGradient_RC, qkv_R3C, tape);
        var normalGradient_RC = _qkv.Backward(qkvGradient_R3C, _norm.Forward(x_RC));
        return _norm.Backward(normalGradient_RC, x_RC).MoveToOuterDisposeScope();
    }
}
