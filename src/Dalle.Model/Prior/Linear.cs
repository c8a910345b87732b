using Dalle.Model.Kernels;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: R rows (batch times positions), I inputs, O outputs.

/// <summary>A matrix product with bias, in the format of its weight.</summary>
internal sealed class Linear(ParameterStore parameters, string name)
{
    private readonly Tensor _weight_OI = parameters[name + ".weight"];
    private readonly Tensor _bias_O = parameters[name + ".bias"];

    public Tensor Forward(Tensor x_RI)
    {
        using var bias_O = _bias_O.to(_weight_OI.dtype, copy: true);
        return nn.functional.linear(x_RI, _weight_OI, bias_O);
    }

    /// <summary>Adds the parameters' gradients and returns the input's.</summary>
    /// <param name="gradient_RO">Gradient of the output.</param>
    /// <param name="x_RI">The input of the forward pass.</param>
    public Tensor Backward(Tensor gradient_RO, Tensor x_RI)
    {
        AddGradients(gradient_RO, x_RI);
        return gradient_RO.mm(_weight_OI);
    }

    /// <summary>Adds the parameters' gradients alone: for a layer whose input has none.</summary>
    /// <inheritdoc cref="Backward" path="/param"/>
    public void AddGradients(Tensor gradient_RO, Tensor x_RI)
    {
        using var transposed_OR = gradient_RO.t();
        using var bias_O = ColumnSum(gradient_RO);
        parameters.GradientOf(name + ".weight").addmm_(transposed_OR, x_RI);
        parameters.GradientOf(name + ".bias").add_(bias_O, One);
    }

    private static Tensor ColumnSum(Tensor x_RO)
    {
        if (!TensorMemory.SuitsKernels(x_RO))
        {
            return x_RO.sum([0], type: ScalarType.Float32);
        }

        using var ranges = ColumnSumKernel.Run(x_RO);
        return ranges.sum([0]);
    }
}
