using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: R rows (batch times positions), C model width, 1 a dimension of one.

/// <summary>Layer normalisation with gain and bias, computed in 32 bit from the identity path; its output has the format asked for.</summary>
internal sealed class LayerNorm(ParameterStore parameters, string name, ScalarType output)
{
    private const float Epsilon = 1e-5f;
    private readonly Tensor _gain_C = parameters[name + ".gain"];
    private readonly Tensor _bias_C = parameters[name + ".bias"];

    public Tensor Forward(Tensor x_RC)
    {
        if (SuitsKernels(x_RC))
        {
            var y_RC = empty_like(x_RC, output);
            LayerNormKernel.Forward(x_RC, _gain_C, _bias_C, Epsilon, y_RC);
            return y_RC;
        }

        using var scope = NewDisposeScope();
        var (normal_RC, _) = Normalize(x_RC);
        return normal_RC.mul_(_gain_C).add_(_bias_C, One).to(output).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the parameters' gradients and returns the input's, in 32 bit.</summary>
    /// <param name="gradient_RC">Gradient of the output.</param>
    /// <param name="x_RC">The input of the forward pass.</param>
    public Tensor Backward(Tensor gradient_RC, Tensor x_RC)
    {
        using var scope = NewDisposeScope();
        if (SuitsKernels(x_RC))
        {
            var xGradient_RC = empty_like(x_RC);
            var sum_2C = LayerNormKernel.Backward(gradient_RC, x_RC, _gain_C, Epsilon, xGradient_RC).sum([1]);
            parameters.GradientOf(name + ".gain").add_(sum_2C[0], One);
            parameters.GradientOf(name + ".bias").add_(sum_2C[1], One);
            return xGradient_RC.MoveToOuterDisposeScope();
        }

        var (normal_RC, scale_R1) = Normalize(x_RC);
        var outer_RC = gradient_RC.to(ScalarType.Float32);
        parameters.GradientOf(name + ".gain").add_((outer_RC * normal_RC).sum([0]), One);
        parameters.GradientOf(name + ".bias").add_(outer_RC.sum([0]), One);
        var inner_RC = outer_RC * _gain_C;
        var along_R1 = (inner_RC * normal_RC).mean([-1], keepdim: true);
        var mean_R1 = inner_RC.mean([-1], keepdim: true);
        return inner_RC.sub_(mean_R1).sub_(normal_RC.mul_(along_R1)).mul_(scale_R1).MoveToOuterDisposeScope();
    }

    private bool SuitsKernels(Tensor x_RC) => TensorMemory.HasKernels(output) && TensorMemory.SuitsKernels(x_RC);

    private static (Tensor Normal_RC, Tensor Scale_R1) Normalize(Tensor x_RC)
    {
        var centered_RC = x_RC - x_RC.mean([-1], keepdim: true);
        var scale_R1 = (centered_RC * centered_RC).mean([-1], keepdim: true).add_(Number(Epsilon), One).rsqrt_();
        return (centered_RC.mul_(scale_R1), scale_R1);
    }
}
