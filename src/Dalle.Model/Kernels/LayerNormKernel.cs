using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

// Shape suffixes: R rows, C width.

/// <summary>Layer normalisation on the CPU, a row at a time.</summary>
internal static unsafe class LayerNormKernel
{
    private const int RowsOfARange = 64;

    /// <summary>y = (x - mean) / deviation * gain + bias.</summary>
    public static void Forward(Tensor x_RC, Tensor gain_C, Tensor bias_C, float epsilon, Tensor y_RC)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Forward<Lanes16>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
        else
        {
            Forward<Lanes8>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
    }

    /// <summary>Writes the gradient of x, and the sums of the gradients of gain and bias over each range of rows.</summary>
    /// <returns>Sums for gain, then for bias: float32 <c>[2, ranges, C]</c>.</returns>
    public static Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC) =>
        Vector512.IsHardwareAccelerated
            ? Backward<Lanes16>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC)
            : Backward<Lanes8>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC);

    /// <summary><see cref="Forward(Tensor, Tensor, Tensor, float, Tensor)"/> with vectors of one length.</summary>
    public static void Forward<TLanes>(Tensor x_RC, Tensor gain_C, Tensor bias_C, float epsilon, Tensor y_RC)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        if (y_RC.dtype == ScalarType.BFloat16)
        {
            Forward<TLanes, BFloat16>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
        else
        {
            Forward<TLanes, Float32>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
    }

    /// <summary><see cref="Backward(Tensor, Tensor, Tensor, float, Tensor)"/> with vectors of one length.</summary>
    public static Tensor Backward<TLanes>(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        => gradient_RC.dtype == ScalarType.BFloat16
            ? Backward<TLanes, BFloat16>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC)
            : Backward<TLanes, Float32>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC);

    private static void Forward<TLanes, T>(Tensor x_RC, Tensor gain_C, Tensor bias_C, float epsilon, Tensor y_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var width = (int)x_RC.shape[1];
        var x = TensorMemory.Pointer<float>(x_RC);
        var gain = TensorMemory.Pointer<float>(gain_C);
        var bias = TensorMemory.Pointer<float>(bias_C);
        var y = TensorMemory.Pointer<T>(y_RC);
        CpuTeam.Run(x_RC.shape[0], RowsOfARange, (_, start, end) =>
        {
            for (var row = start; row < end; row++)
            {
                ForwardRow<TLanes, T>(x + (row * width), gain, bias, epsilon, y + (row * width), width);
            }
        });
    }

    private static Tensor Backward<TLanes, T>(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var rows = x_RC.shape[0];
        var width = (int)x_RC.shape[1];
        var ranges = (rows + RowsOfARange - 1) / RowsOfARange;
        var sums = zeros(2, ranges, width);
        var gradient = TensorMemory.Pointer<T>(gradient_RC);
        var x = TensorMemory.Pointer<float>(x_RC);
        var gain = TensorMemory.Pointer<float>(gain_C);
        var xGradient = TensorMemory.Pointer<float>(xGradient_RC);
        var gainSums = TensorMemory.Pointer<float>(sums);
        var biasSums = gainSums + (ranges * width);
        CpuTeam.Run(rows, RowsOfARange, (range, start, end) =>
        {
            var sum = (long)range * width;
            for (var row = start; row < end; row++)
            {
                BackwardRow<TLanes, T>(gradient + (row * width), x + (row * width), gain, epsilon, xGradient + (row * width), gainSums + sum, biasSums + sum, width);
            }
        });
        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardRow<TLanes, T>(float* x, float* gain, float* bias, float epsilon, T* y, int width)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var (mean, scale) = Moments<TLanes>(x, width, epsilon);
        for (var c = 0; c < width; c += TLanes.Count)
        {
            T.Store(((TLanes.Load(x + c) - mean) * scale * TLanes.Load(gain + c)) + TLanes.Load(bias + c), y + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void BackwardRow<TLanes, T>(T* gradient, float* x, float* gain, float epsilon, float* xGradient, float* gainSum, float* biasSum, int width)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var (mean, scale) = Moments<TLanes>(x, width, epsilon);
        TLanes total = default, along = default;
        for (var c = 0; c < width; c += TLanes.Count)
        {
            var outer = T.Load<TLanes>(gradient + c);
            var normal = (TLanes.Load(x + c) - mean) * scale;
            var inner = outer * TLanes.Load(gain + c);
            total += inner;
            along += inner * normal;
            (TLanes.Load(gainSum + c) + (outer * normal)).Store(gainSum + c);
            (TLanes.Load(biasSum + c) + outer).Store(biasSum + c);
        }

        var meanInner = TLanes.Create(TLanes.Sum(total) / width);
        var meanAlong = TLanes.Create(TLanes.Sum(along) / width);
        for (var c = 0; c < width; c += TLanes.Count)
        {
            var normal = (TLanes.Load(x + c) - mean) * scale;
            var inner = T.Load<TLanes>(gradient + c) * TLanes.Load(gain + c);
            ((inner - meanInner - (normal * meanAlong)) * scale).Store(xGradient + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TLanes Mean, TLanes Scale) Moments<TLanes>(float* x, int width, float epsilon)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes sum = default, squares = default;
        for (var c = 0; c < width; c += TLanes.Count)
        {
            sum += TLanes.Load(x + c);
        }

        var mean = TLanes.Create(TLanes.Sum(sum) / width);
        for (var c = 0; c < width; c += TLanes.Count)
        {
            var centered = TLanes.Load(x + c) - mean;
            squares += centered * centered;
        }

        return (mean, TLanes.Create(1 / MathF.Sqrt((TLanes.Sum(squares) / width) + epsilon)));
    }
}
