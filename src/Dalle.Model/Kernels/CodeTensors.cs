using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

/// <summary>What <see cref="SixExponentBits"/> does, in libtorch's operations and to the same bits: for devices that kernels are not written for. Codes are int16 tensors.</summary>
/// <remarks>A code is a whole multiple of the worth of its last bit; from one exponent to the next that doubles, and as many multiples were counted before.</remarks>
internal static class CodeTensors
{
    private const int Sign = 0x8000;

    /// <summary>The exact values: int16 to float32.</summary>
    public static Tensor Decode(Tensor codes, int mantissa)
    {
        using var scope = NewDisposeScope();
        var magnitude = codes.to(ScalarType.Int32).remainder(Number(mantissa == SixExponentBits.WithSign ? Sign : 2 * Sign));
        var exponent = magnitude.div(Number(1 << mantissa), RoundingMode.floor).clamp_min_(Number(1));
        var multiple = magnitude.sub_(exponent.sub(One).mul_(Number(1 << mantissa)));
        var value = WorthOfLastBit(exponent, mantissa).mul_(multiple);
        return (mantissa == SixExponentBits.WithSign ? where(codes.lt(Number(0)), value.neg(), value) : value).MoveToOuterDisposeScope();
    }

    /// <summary>The nearest codes, ties to even: finite float32 to int16.</summary>
    public static Tensor Encode(Tensor values, int mantissa)
    {
        using var scope = NewDisposeScope();
        var positive = mantissa == SixExponentBits.WithSign ? values.abs() : values.clamp_min(Number(0));
        var magnitude = positive.clamp_max_(Number((double)SixExponentBits.Largest(mantissa)));
        var (_, power) = magnitude.frexp();
        var exponent = power.add_(Number(59), One).masked_fill_(magnitude.lt(Number((double)SixExponentBits.SmallestNormal)), One);
        var multiple = magnitude.div_(WorthOfLastBit(exponent, mantissa)).round_().to(ScalarType.Int32);
        var code = multiple.add_(exponent.sub_(One).mul_(Number(1 << mantissa)), One);
        if (mantissa == SixExponentBits.WithSign)
        {
            code.add_(values.signbit(), Number(Sign));
        }

        // From 0 .. 65535 to the int16 of the same bits.
        return code.add_(code.ge(Number(Sign)), Number(-2 * Sign)).to(ScalarType.Int16).MoveToOuterDisposeScope();
    }

    private static Tensor WorthOfLastBit(Tensor exponent, int mantissa)
    {
        using var table = tensor([.. Enumerable.Range(0, 64).Select(value => MathF.ScaleB(1, value - 60 - mantissa))], device: exponent.device);
        return table.index_select(0, exponent.flatten()).view(exponent.shape);
    }
}
