using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>Layer normalisation, a hidden layer of four times the width, projection.</summary>
/// <remarks>Keeps the hidden layer only: what follows from it or from the input by elementwise work is computed again on the way back, for less than half the memory.</remarks>
internal sealed class MlpResblock(ParameterStore parameters, string name, ScalarType compute) : Resblock(compute)
{
    private readonly LayerNorm _norm = new(parameters, name + "norm", compute);
    private readonly Linear _up = new(parameters, name + "up");
    private readonly Linear _down = new(parameters, name + "down");

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x_RC, Tape? tape)
    {
        using var scope = NewDisposeScope();
        var normal_RC = _norm.Forward(x_RC);
        var hidden_R4C = _up.Forward(normal_RC);
        var active_R4C = Activation.Forward(hidden_R4C);
        var output_RC = _down.Forward(active_R4C);
        tape?.Keep(hidden_R4C);
        return output_RC.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tape tape)
    {
        using var scope = NewDisposeScope();
        var hidden_R4C = tape.Take(scope);
        var hiddenGradient_R4C = BackwardThroughDown(gradient_RC, hidden_R4C);
        Activation.Backward(hiddenGradient_R4C, hidden_R4C);
        var normalGradient_RC = _up.Backward(hiddenGradient_R4C, _norm.Forward(x_RC));
        return _norm.Backward(normalGradient_RC, x_RC).MoveToOuterDisposeScope();
    }

    private Tensor BackwardThroughDown(Tensor gradient_RC, Tensor hidden_R4C)
    {
        using var active_R4C = Activation.Forward(hidden_R4C);
        return _down.Backward(gradient_RC, active_R4C);
    }
}
