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
    public static void Forward<T>(Tensor x_RC, Tensor gain_C, Tensor bias_C, float epsilon, Tensor y_RC)
        where T : unmanaged, IElement<T>
    {
        var width = (int)x_RC.shape[1];
        var x = Pointer(x_RC);
        var gain = Pointer(gain_C);
        var bias = Pointer(bias_C);
        var y = TensorMemory.Pointer<T>(y_RC);
        CpuTeam.Run(x_RC.shape[0], RowsOfARange, (_, start, end) =>
        {
            for (var row = start; row < end; row++)
            {
                var source = x + (row * width);
                var target = y + (row * width);
                var (mean, scale) = Moments(source, width, epsilon);
                for (var c = 0; c < width; c += Element.Lanes)
                {
                    T.Store(((Vector512.Load(source + c) - mean) * scale * Vector512.Load(gain + c)) + Vector512.Load(bias + c), target + c);
                }
            }
        });
    }

    /// <summary>Writes the gradient of x, and the sums of the gradients of gain and bias over each range of rows.</summary>
    /// <returns>Sums for gain, then for bias: float32 <c>[2, ranges, C]</c>.</returns>
    public static Tensor Backward<T>(Tensor gradient_RC, Tensor x_RC, Tensor gain_C, float epsilon, Tensor xGradient_RC)
        where T : unmanaged, IElement<T>
    {
        var (rows, width) = (x_RC.shape[0], (int)x_RC.shape[1]);
        var ranges = (rows + RowsOfARange - 1) / RowsOfARange;
        var sums = zeros(2, ranges, width);
        var gradient = TensorMemory.Pointer<T>(gradient_RC);
        var x = Pointer(x_RC);
        var gain = Pointer(gain_C);
        var xGradient = Pointer(xGradient_RC);
        var sum = Pointer(sums);
        CpuTeam.Run(rows, RowsOfARange, (range, start, end) =>
        {
            var gainSum = sum + ((long)range * width);
            var biasSum = sum + ((ranges + range) * width);
            for (var row = start; row < end; row++)
            {
                var source = x + (row * width);
                var outer = gradient + (row * width);
                var target = xGradient + (row * width);
                var (mean, scale) = Moments(source, width, epsilon);
                Vector512<float> total = default, along = default;
                for (var c = 0; c < width; c += Element.Lanes)
                {
                    var g = T.Load(outer + c);
                    var normal = (Vector512.Load(source + c) - mean) * scale;
                    var inner = g * Vector512.Load(gain + c);
                    total += inner;
                    along += inner * normal;
                    (Vector512.Load(gainSum + c) + (g * normal)).Store(gainSum + c);
                    (Vector512.Load(biasSum + c) + g).Store(biasSum + c);
                }

                var meanInner = Vector512.Create(Vector512.Sum(total) / width);
                var meanAlong = Vector512.Create(Vector512.Sum(along) / width);
                for (var c = 0; c < width; c += Element.Lanes)
                {
                    var normal = (Vector512.Load(source + c) - mean) * scale;
                    var inner = T.Load(outer + c) * Vector512.Load(gain + c);
                    ((inner - meanInner - (normal * meanAlong)) * scale).Store(target + c);
                }
            }
        });
        return sums;
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

    private static float* Pointer(Tensor tensor) => TensorMemory.Pointer<float>(tensor);
}
