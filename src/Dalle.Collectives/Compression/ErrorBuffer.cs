using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>What compression has left out so far, to be added to the gradients of the next update. What goes in and comes out is float32, whatever format it is kept in.</summary>
internal sealed class ErrorBuffer : IDisposable
{
    // Float32, or the bits of codes as int16.
    private Tensor _kept_C;

    /// <param name="count">Elements, all zero at first.</param>
    /// <param name="format">What they are kept in.</param>
    /// <param name="device">Where it lives.</param>
    public ErrorBuffer(long count, ErrorFormat format, Device device) =>
        _kept_C = zeros(count, format == ErrorFormat.Float32 ? ScalarType.Float32 : ScalarType.Int16, device).DetachFromDisposeScope();

    /// <summary>Bytes of an element.</summary>
    public static int ElementBytes(ErrorFormat format) => format == ErrorFormat.Float32 ? sizeof(float) : sizeof(short);

    /// <summary>Writes what is kept from an offset on, plus a gradient, in 32 bit.</summary>
    /// <returns>Whether the whole gradient is finite.</returns>
    public bool Add(long offset, Tensor gradient_N, Tensor target_N)
    {
        using var kept_N = _kept_C.narrow(0, offset, gradient_N.numel());
        return GradientSum.Write(kept_N, gradient_N, target_N);
    }

    /// <summary>Writes what is kept from an offset on, in 32 bit.</summary>
    public void Read(long offset, Tensor target_N)
    {
        using var kept_N = _kept_C.narrow(0, offset, target_N.numel());
        if (kept_N.dtype == ScalarType.Int16)
        {
            ErrorCodes.Decode(kept_N, target_N);
        }
        else
        {
            target_N.copy_(kept_N);
        }
    }

    /// <summary>Keeps other values, and hands back a buffer of the same length for the caller's use.</summary>
    /// <param name="values_C">All finite. The tensor is not the caller's any more, unless it is the one that comes back.</param>
    public Tensor Exchange(Tensor values_C)
    {
        if (_kept_C.dtype == ScalarType.Int16)
        {
            ErrorCodes.Encode(values_C, _kept_C);
            return values_C;
        }

        var free_C = _kept_C;
        _kept_C = values_C;
        return free_C;
    }

    /// <inheritdoc/>
    public void Dispose() => _kept_C.Dispose();
}
