using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: C model width, R = B * S rows (batch times sequence).

/// <summary>Masked self-attention from fused queries, keys and values.</summary>
internal abstract class Attention : IDisposable
{
    /// <summary>The fastest implementation for a device, a shape and a format.</summary>
    public static Attention Create(TransformerConfig config, AttentionKind kind, Device device, ScalarType compute) =>
        TensorMemory.HasVectors && TensorMemory.HasKernels(compute) && device.type == TorchSharp.DeviceType.CPU && config.HeadWidth % Element.Lanes == 0
            ? new TiledAttention(config, kind)
            : new DenseAttention(config, kind, device);

    /// <param name="qkv_R3C">Queries, keys and values of all heads, one after the other.</param>
    /// <param name="tape">Keeps what <see cref="Backward"/> needs; null when there is none.</param>
    /// <returns>The attended values <c>[R, C]</c>.</returns>
    public abstract Tensor Forward(Tensor qkv_R3C, Tape? tape);

    /// <summary>The gradient of <c>qkv_R3C</c>.</summary>
    public abstract Tensor Backward(Tensor gradient_RC, Tensor qkv_R3C, Tape tape);

    /// <inheritdoc/>
    public abstract void Dispose();
}
