using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>What flat buffers of gradients have in common: 32-bit floats, one after the other.</summary>
internal static class FlatLayout
{
    /// <exception cref="ArgumentException">The tensor is not a flat buffer of so many elements.</exception>
    public static void Require(Tensor tensor, long count)
    {
        if (tensor.dtype != ScalarType.Float32 || tensor.numel() != count || !tensor.is_contiguous())
        {
            throw new ArgumentException($"Expected {count} contiguous elements of Float32, got [{string.Join(", ", tensor.shape)}] of {tensor.dtype}.");
        }
    }
}
