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
        if (y_RC.dtype == ScalarType.BFloat16)
        {
            Forward<BFloat16>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
        else
        {
            Forward<Float32>(x_RC, gain_C, bias_C, epsilon, y_RC);
        }
    }

    /// <summary>Writes the gradient of x, and the sums of the gradients of gain and bias over each range of rows.</summary>
    /// <returns>Sums for gain, then for bias: float32 <c>[2, ranges, C]</c>.</returns>
    public static Tensor Backward(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC) =>
        gradient_RC.dtype == ScalarType.BFloat16
            ? Backward<BFloat16>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC)
            : Backward<Float32>(gradient_RC, x_RC, gain_C, epsilon, xGradient_RC);

    private static void Forward<T>(Tensor x_RC, Tensor gain_C, Tensor bias_C, float epsilon, Tensor y_RC)
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
                ForwardRow(x + (row * width), gain, bias, epsilon, y + (row * width), width);
            }
        });
    }

    private static Tensor Backward<T>(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC)
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
                BackwardRow(gradient + (row * width), x + (row * width), gain, epsilon, xGradient + (row * width), gainSums + sum, biasSums + sum, width);
            }
        });
        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardRow<T>(float* x, float* gain, float* bias, float epsilon, T* y, int width)
        where T : unmanaged, IElement<T>
    {
        var (mean, scale) = Moments(x, width, epsilon);
        for (var c = 0; c < width; c += Element.Lanes)
        {
            T.Store(((Vector512.Load(x + c) - mean) * scale * Vector512.Load(gain + c)) + Vector512.Load(bias + c), y + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void BackwardRow<T>(T* gradient, float* x, float* gain, float epsilon, float* xGradient, float* gainSum, float* biasSum, int width)
        where T : unmanaged, IElement<T>
    {
        var (mean, scale) = Moments(x, width, epsilon);
        Vector512<float> total = default, along = default;
        for (var c = 0; c < width; c += Element.Lanes)
        {
            var outer = T.Load(gradient + c);
            var normal = (Vector512.Load(x + c) - mean) * scale;
            var inner = outer * Vector512.Load(gain + c);
            total += inner;
            along += inner * normal;
            (Vector512.Load(gainSum + c) + (outer * normal)).Store(gainSum + c);
            (Vector512.Load(biasSum + c) + outer).Store(biasSum + c);
        }

        var meanInner = Vector512.Create(Vector512.Sum(total) / width);
        var meanAlong = Vector512.Create(Vector512.Sum(along) / width);
        for (var c = 0; c < width; c += Element.Lanes)
        {
            var normal = (Vector512.Load(x + c) - mean) * scale;
            var inner = T.Load(gradient + c) * Vector512.Load(gain + c);
            ((inner - meanInner - (normal * meanAlong)) * scale).Store(xGradient + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> Mean, Vector512<float> Scale) Moments(float* x, int width, float epsilon)
    {
        Vector512<float> sum = default, squares = default;
        for (var c = 0; c < width; c += Element.Lanes)
        {
            sum += Vector512.Load(x + c);
        }

        var mean = Vector512.Create(Vector512.Sum(sum) / width);
        for (var c = 0; c < width; c += Element.Lanes)
        {
            var centered = Vector512.Load(x + c) - mean;
            squares += centered * centered;
        }

        return (mean, Vector512.Create(1 / MathF.Sqrt((Vector512.Sum(squares) / width) + epsilon)));
    }
}
