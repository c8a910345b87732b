using Dalle.Model.Kernels;
using static Dalle.Model.Native.HeldScalars;
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
        return x.mul(Number(Slope)).sigmoid_().mul_(x).MoveToOuterDisposeScope();
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
        var gate = x.mul(Number(Slope)).sigmoid_();
        gradient.mul_(gate.neg().add_(One, One).mul_(x).mul_(Number(Slope)).add_(One, One).mul_(gate));
    }
}
