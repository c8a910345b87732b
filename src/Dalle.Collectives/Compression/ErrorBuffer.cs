using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>What compression has left out so far, to be added to the gradients of the next update. Only this type knows the format it is kept in: 32-bit floats.</summary>
internal sealed class ErrorBuffer : IDisposable
{
    private Tensor _values_C;

    /// <param name="count">Elements, all zero at first.</param>
    /// <param name="device">Where it lives.</param>
    public ErrorBuffer(long count, Device device) => _values_C = zeros(count, device: device).DetachFromDisposeScope();

    /// <summary>Bytes of an element.</summary>
    public const int ElementBytes = sizeof(float);

    /// <summary>Writes what is kept from an offset on, plus a gradient, in 32 bit.</summary>
    /// <returns>Whether the whole gradient is finite.</returns>
    public bool Add(long offset, Tensor gradient_N, Tensor target_N)
    {
        using var kept_N = _values_C.narrow(0, offset, gradient_N.numel());
        return GradientSum.Write(kept_N, gradient_N, target_N);
    }

    /// <summary>Writes what is kept from an offset on, in 32 bit.</summary>
    public void Read(long offset, Tensor target_N)
    {
        using var kept_N = _values_C.narrow(0, offset, target_N.numel());
        target_N.copy_(kept_N);
    }

    /// <summary>Keeps other values, which become its own, and hands back a buffer of the same length for the caller's use.</summary>
    public Tensor Exchange(Tensor values_C)
    {
        var free_C = _values_C;
        _values_C = values_C;
        return free_C;
    }

    /// <inheritdoc/>
    public void Dispose() => _values_C.Dispose();
}
