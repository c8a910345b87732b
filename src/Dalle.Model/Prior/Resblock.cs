using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>
/// One residual branch of the transformer. It reads the 32-bit identity path, computes inside in the store's format, and writes its own backward
/// pass: parameter gradients are added into the store.
/// </summary>
internal abstract class Resblock(ScalarType compute)
{
    /// <summary>The format of the branch inside: its output and the gradient of it.</summary>
    public ScalarType Compute => compute;

    /// <param name="x_RC">The identity path, float32.</param>
    /// <param name="tape">Keeps what <see cref="Backward"/> needs; null when there is none.</param>
    /// <returns>What the branch adds to the identity path, in the compute format.</returns>
    public abstract Tensor Forward(Tensor x_RC, Tape? tape);

    /// <param name="gradient_RC">Gradient of the branch's output, in the compute format.</param>
    /// <param name="x_RC">The input of the forward pass.</param>
    /// <param name="tape">As the forward pass left it.</param>
    /// <returns>Gradient of the input through the branch, float32.</returns>
    public abstract Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tape tape);
}
