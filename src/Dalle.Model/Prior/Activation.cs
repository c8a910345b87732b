using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>
/// The hidden layers' activation, x * sigmoid(1.702 x). The paper names none; this close relative of GELU (Hendrycks and Gimpel, 2016, section 2) is
/// what its authors used in the contrastive model they rerank with.
/// </summary>
internal static class Activation
{
    private const double Slope = 1.702;

    public static Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.mul(Slope).sigmoid_().mul_(x).MoveToOuterDisposeScope();
    }

    /// <summary>The input's gradient.</summary>
    public static Tensor Backward(Tensor gradient, Tensor x)
    {
        using var scope = NewDisposeScope();
        var gate = x.mul(Slope).sigmoid_();
        return gate.neg().add_(1).mul_(x).mul_(Slope).add_(1).mul_(gate).mul_(gradient).MoveToOuterDisposeScope();
    }
}
