using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: C model width, R = B * S rows (batch times sequence).

/// <summary>Self-attention from fused queries, keys and values, masked or not.</summary>
internal abstract class Attention : IDisposable
{
    /// <summary>The fastest implementation for a device, a shape and a format.</summary>
    public static Attention Create(TransformerConfig config, AttentionKind kind, Device device, ScalarType compute) =>
        SuitsTiles(config.HeadWidth, device, compute)
            ? new TiledAttention(config, kind)
            : new DenseAttention(config, kind, device);

    /// <summary>The same where every position attends to every other.</summary>
    /// <param name="length">Positions of a sequence.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="headWidth">Width of a head.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="compute">The format it computes in.</param>
    public static Attention CreateAllToAll(int length, int heads, int headWidth, Device device, ScalarType compute) =>
        SuitsTiles(headWidth, device, compute) ? new TiledAttention(AttentionTiles.AllToAll(length), heads, headWidth, length) : new DenseAttention(length, heads, headWidth, blocked_SS: null);

    /// <param name="qkv_R3C">Queries, keys and values of all heads, one after the other.</param>
    /// <param name="tape">Keeps what <see cref="Backward"/> needs; null when there is none.</param>
    /// <returns>The attended values <c>[R, C]</c>.</returns>
    public abstract Tensor Forward(Tensor qkv_R3C, Tape? tape);

    /// <summary>The gradient of <c>qkv_R3C</c>.</summary>
    public abstract Tensor Backward(Tensor gradient_RC, Tensor qkv_R3C, Tape tape);

    /// <inheritdoc/>
    public abstract void Dispose();

    private static bool SuitsTiles(int headWidth, Device device, ScalarType compute) =>
        TensorMemory.HasVectors && TensorMemory.HasKernels(compute) && device.type == TorchSharp.DeviceType.CPU && headWidth % Element.Lanes == 0;
}
