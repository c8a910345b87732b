using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>
/// The hidden layers' activation, x * sigmoid(1.702 x). The paper names none; this close relative of GELU (Hendrycks and Gimpel, 2016, section 2) is
/// what its authors used in the contrastive model they rerank with.
/// </summary>
internal static class Activation
{
    private const float Slope = 1.702f;

    public static Tensor Forward(Tensor x)
    {
        if (TensorMemory.SuitsKernels(x))
        {
            var y = empty_like(x);
            ActivationKernel.Forward(x, Slope, y);
            return y;
        }

        using var scope = NewDisposeScope();
        return x.mul(Slope).sigmoid_().mul_(x).MoveToOuterDisposeScope();
    }

    /// <summary>Turns the output's gradient into the input's, in place.</summary>
    public static void Backward(Tensor gradient, Tensor x)
    {
        if (TensorMemory.SuitsKernels(x))
        {
            ActivationKernel.Backward(gradient, x, Slope);
            return;
        }

        using var scope = NewDisposeScope();
        var gate = x.mul(Slope).sigmoid_();
        gradient.mul_(gate.neg().add_(1).mul_(x).mul_(Slope).add_(1).mul_(gate));
    }
}
