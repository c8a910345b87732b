using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Dalle.Model.Sampling;

/// <summary>
/// A linear layer's weights, laid out once for the processor's vectors: tiles of 64 outputs, in a tile input by input, 64 weights side by side. A product
/// broadcasts one input and adds its 64 contributions, so it reads weights straight through and needs no sums across a vector. 16-bit and 8-bit weights
/// stay so in memory, which is what a single row's speed hangs on; the arithmetic is 32 bit.
/// </summary>
/// <remarks>
/// Every output of every row is the bias plus its products in the order of the inputs, each rounded once (of 8-bit weights the sum is multiplied by the
/// output's scale at the end): the result depends neither on the other rows nor on who computes which tile, nor on the vectors' length.
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Outputs of one tile.</summary>
    public const int TileWidth = 64;

    /// <summary>Outputs whose weights fill a vector of 512 bits.</summary>
    public const int Lanes = 16;

    private readonly FloatBuffer _weights;
    private readonly FloatBuffer _bias;
    private readonly FloatBuffer? _scale;
    private readonly bool _half, _wide;

    /// <param name="weight">Weights <c>[outputs, inputs]</c>; bfloat16 ones are kept so, all others as float32.</param>
    /// <param name="bias">Biases <c>[outputs]</c>, or null for none.</param>
    /// <param name="weights">Whether they are kept in 8 bit instead.</param>
    /// <param name="wide">Whether to compute in vectors of 512 bits rather than 256; null for what the processor does best.</param>
    public PackedMatrix(Tensor weight, Tensor? bias, SamplingWeights weights = SamplingWeights.AsTrained, bool? wide = null)
    {
        var shape = weight.shape;
        (Outputs, Inputs) = ((int)shape[0], (int)shape[1]);
        Tiles = (Outputs + TileWidth - 1) / TileWidth;
        _wide = wide ?? Vector512.IsHardwareAccelerated;
        _half = weights == SamplingWeights.AsTrained && weight.dtype == ScalarType.BFloat16;
        _scale = weights == SamplingWeights.EightBit ? new(PaddedOutputs) : null;
        _bias = new(PaddedOutputs);
        _weights = new(Tiles * TileFloats);
        using var scope = NewDisposeScope();
        bias?.detach().to(ScalarType.Float32, CPU).contiguous().data<float>().CopyTo(_bias.Slice(0, Outputs));
        var source = weight.detach().cpu().contiguous();
        for (var output = 0; output < Outputs; output++)
        {
            using var row = source[output];
            if (_half)
            {
                PackHalf(output, MemoryMarshal.Cast<byte, ushort>(row.bytes));
                continue;
            }

            using var single = row.to(ScalarType.Float32);
            var values = MemoryMarshal.Cast<byte, float>(single.bytes);
            if (_scale is null)
            {
                Pack(output, values);
            }
            else
            {
                PackBytes(output, values, _scale);
            }
        }
    }

    public int Outputs { get; }

    public int Inputs { get; }

    /// <summary>Number of tiles.</summary>
    public int Tiles { get; }

    /// <summary>Outputs with those that fill the last tile: the least stride of a result.</summary>
    public int PaddedOutputs => Tiles * TileWidth;

    private long TileFloats => (long)TileWidth * Inputs / (_scale is not null ? 4 : _half ? 2 : 1);

    /// <summary>Multiplies rows by some tiles: <c>y = W x + b</c>.</summary>
    /// <param name="x">The rows, <see cref="Inputs"/> floats each.</param>
    /// <param name="xStride">Floats from one row to the next.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="y">The results' rows.</param>
    /// <param name="yStride">Floats from one result's row to the next, at least <see cref="PaddedOutputs"/>.</param>
    /// <param name="firstTile">First tile.</param>
    /// <param name="endTile">After the last tile.</param>
    public void Multiply(float* x, int xStride, int rows, float* y, int yStride, int firstTile, int endTile)
    {
        if (_scale is not null)
        {
            Multiply<ByteWeights>(x, xStride, rows, y, yStride, firstTile, endTile);
        }
        else if (_half)
        {
            Multiply<HalfWeights>(x, xStride, rows, y, yStride, firstTile, endTile);
        }
        else
        {
            Multiply<SingleWeights>(x, xStride, rows, y, yStride, firstTile, endTile);
        }
    }

    public void Dispose()
    {
        _weights.Dispose();
        _bias.Dispose();
        _scale?.Dispose();
    }

    private void Pack(int output, ReadOnlySpan<float> values)
    {
        var target = _weights.Pointer + (output / TileWidth * TileFloats) + (output % TileWidth);
        for (var i = 0; i < values.Length; i++)
        {
            target[(long)i * TileWidth] = values[i];
        }
    }

    /// <summary>Of 32 outputs side by side, outputs n and n + 16 share a 32-bit lane, the first in its low half.</summary>
    private void PackHalf(int output, ReadOnlySpan<ushort> values)
    {
        var within = output % TileWidth;
        var slot = (2 * ((within / 32 * Lanes) + (within % Lanes))) + (within / Lanes % 2);
        var target = (ushort*)(_weights.Pointer + (output / TileWidth * TileFloats)) + slot;
        for (var i = 0; i < values.Length; i++)
        {
            target[(long)i * TileWidth] = values[i];
        }
    }

    /// <summary>
    /// Whole numbers, the largest 127, and the scale that makes them weights again, by which the bias is divided beforehand. Outputs n, n + 16, n + 32 and n + 48
    /// share a 32-bit lane, the first in its lowest byte.
    /// </summary>
    private void PackBytes(int output, ReadOnlySpan<float> values, FloatBuffer scale)
    {
        var largest = TensorPrimitives.MaxMagnitude(values);
        var step = Math.Abs(largest) / 127;
        step = step == 0 ? 1 : step;
        scale.Pointer[output] = step;
        _bias.Pointer[output] /= step;
        var within = output % TileWidth;
        var target = (sbyte*)(_weights.Pointer + (output / TileWidth * TileFloats)) + (4 * (within % Lanes)) + (within / Lanes);
        for (var i = 0; i < values.Length; i++)
        {
            target[(long)i * TileWidth] = (sbyte)Math.Clamp(MathF.Round(values[i] / step), -127, 127);
        }
    }

    private void Multiply<TWeights>(float* x, int xStride, int rows, float* y, int yStride, int firstTile, int endTile)
        where TWeights : struct, IWeightFormat
    {
        for (var tile = firstTile; tile < endTile; tile++)
        {
            var weights = _weights.Pointer + (tile * TileFloats);
            var bias = _bias.Pointer + (tile * TileWidth);
            var target = y + (tile * TileWidth);
            var row = 0;
            for (; row + 4 <= rows; row += 4)
            {
                if (_wide)
                {
                    FourRows<TWeights>(weights, bias, Inputs, x + ((long)row * xStride), xStride, target + ((long)row * yStride), yStride);
                }
                else
                {
                    NarrowFourRows<TWeights>(weights, bias, Inputs, x + ((long)row * xStride), xStride, target + ((long)row * yStride), yStride);
                }
            }

            for (; row < rows; row++)
            {
                if (_wide)
                {
                    OneRow<TWeights>(weights, bias, Inputs, x + ((long)row * xStride), target + ((long)row * yStride));
                }
                else
                {
                    NarrowOneRow<TWeights>(weights, bias, Inputs, x + ((long)row * xStride), target + ((long)row * yStride));
                }
            }

            if (_scale is not null)
            {
                for (row = 0; row < rows; row++)
                {
                    var sums = new Span<float>(target + ((long)row * yStride), TileWidth);
                    TensorPrimitives.Multiply(sums, _scale.Slice(tile * TileWidth, TileWidth), sums);
                }
            }
        }
    }

    private static void OneRow<TWeights>(float* w, float* bias, int inputs, float* x, float* y)
        where TWeights : struct, IWeightFormat
    {
        var a0 = Vector512.Load(bias);
        var a1 = Vector512.Load(bias + Lanes);
        var a2 = Vector512.Load(bias + (2 * Lanes));
        var a3 = Vector512.Load(bias + (3 * Lanes));
        for (var i = 0; i < inputs; i++, w += TWeights.FloatsPerInput)
        {
            TWeights.Load(w, out var w0, out var w1, out var w2, out var w3);
            var input = Vector512.Create(x[i]);
            a0 = Vector512.FusedMultiplyAdd(w0, input, a0);
            a1 = Vector512.FusedMultiplyAdd(w1, input, a1);
            a2 = Vector512.FusedMultiplyAdd(w2, input, a2);
            a3 = Vector512.FusedMultiplyAdd(w3, input, a3);
        }

        Store(y, a0, a1, a2, a3);
    }

    /// <summary>Four rows at once, so that each weight that was loaded is used four times; the arithmetic of each row is that of <see cref="OneRow"/>.</summary>
    private static void FourRows<TWeights>(float* w, float* bias, int inputs, float* x, int xStride, float* y, int yStride)
        where TWeights : struct, IWeightFormat
    {
        var x1 = x + xStride;
        var x2 = x1 + xStride;
        var x3 = x2 + xStride;
        var b0 = Vector512.Load(bias);
        var b1 = Vector512.Load(bias + Lanes);
        var b2 = Vector512.Load(bias + (2 * Lanes));
        var b3 = Vector512.Load(bias + (3 * Lanes));
        Vector512<float> a00 = b0, a01 = b1, a02 = b2, a03 = b3, a10 = b0, a11 = b1, a12 = b2, a13 = b3;
        Vector512<float> a20 = b0, a21 = b1, a22 = b2, a23 = b3, a30 = b0, a31 = b1, a32 = b2, a33 = b3;
        for (var i = 0; i < inputs; i++, w += TWeights.FloatsPerInput)
        {
            TWeights.Load(w, out var w0, out var w1, out var w2, out var w3);
            var input = Vector512.Create(x[i]);
            a00 = Vector512.FusedMultiplyAdd(w0, input, a00);
            a01 = Vector512.FusedMultiplyAdd(w1, input, a01);
            a02 = Vector512.FusedMultiplyAdd(w2, input, a02);
            a03 = Vector512.FusedMultiplyAdd(w3, input, a03);
            input = Vector512.Create(x1[i]);
            a10 = Vector512.FusedMultiplyAdd(w0, input, a10);
            a11 = Vector512.FusedMultiplyAdd(w1, input, a11);
            a12 = Vector512.FusedMultiplyAdd(w2, input, a12);
            a13 = Vector512.FusedMultiplyAdd(w3, input, a13);
            input = Vector512.Create(x2[i]);
            a20 = Vector512.FusedMultiplyAdd(w0, input, a20);
            a21 = Vector512.FusedMultiplyAdd(w1, input, a21);
            a22 = Vector512.FusedMultiplyAdd(w2, input, a22);
            a23 = Vector512.FusedMultiplyAdd(w3, input, a23);
            input = Vector512.Create(x3[i]);
            a30 = Vector512.FusedMultiplyAdd(w0, input, a30);
            a31 = Vector512.FusedMultiplyAdd(w1, input, a31);
            a32 = Vector512.FusedMultiplyAdd(w2, input, a32);
            a33 = Vector512.FusedMultiplyAdd(w3, input, a33);
        }

        Store(y, a00, a01, a02, a03);
        Store(y + yStride, a10, a11, a12, a13);
        Store(y + (2L * yStride), a20, a21, a22, a23);
        Store(y + (3L * yStride), a30, a31, a32, a33);
    }

    /// <summary><see cref="OneRow"/> for processors with vectors of 8: the same arithmetic.</summary>
    private static void NarrowOneRow<TWeights>(float* w, float* bias, int inputs, float* x, float* y)
        where TWeights : struct, IWeightFormat
    {
        var (a0, a1, a2, a3) = (Vector256.Load(bias), Vector256.Load(bias + 8), Vector256.Load(bias + 16), Vector256.Load(bias + 24));
        var (a4, a5, a6, a7) = (Vector256.Load(bias + 32), Vector256.Load(bias + 40), Vector256.Load(bias + 48), Vector256.Load(bias + 56));
        for (var i = 0; i < inputs; i++, w += TWeights.FloatsPerInput)
        {
            var input = Vector256.Create(x[i]);
            TWeights.Load(w, 0, out var w0, out var w1);
            a0 = Vector256.FusedMultiplyAdd(w0, input, a0);
            a1 = Vector256.FusedMultiplyAdd(w1, input, a1);
            TWeights.Load(w, 1, out w0, out w1);
            a2 = Vector256.FusedMultiplyAdd(w0, input, a2);
            a3 = Vector256.FusedMultiplyAdd(w1, input, a3);
            TWeights.Load(w, 2, out w0, out w1);
            a4 = Vector256.FusedMultiplyAdd(w0, input, a4);
            a5 = Vector256.FusedMultiplyAdd(w1, input, a5);
            TWeights.Load(w, 3, out w0, out w1);
            a6 = Vector256.FusedMultiplyAdd(w0, input, a6);
            a7 = Vector256.FusedMultiplyAdd(w1, input, a7);
        }

        a0.Store(y);
        a1.Store(y + 8);
        a2.Store(y + 16);
        a3.Store(y + 24);
        a4.Store(y + 32);
        a5.Store(y + 40);
        a6.Store(y + 48);
        a7.Store(y + 56);
    }

    /// <summary><see cref="FourRows"/> for processors with vectors of 8: the same arithmetic, a quarter of a tile at a time.</summary>
    private static void NarrowFourRows<TWeights>(float* w, float* bias, int inputs, float* x, int xStride, float* y, int yStride)
        where TWeights : struct, IWeightFormat
    {
        var x1 = x + xStride;
        var x2 = x1 + xStride;
        var x3 = x2 + xStride;
        for (var part = 0; part < TileWidth / Lanes; part++)
        {
            var (b0, b1) = (Vector256.Load(bias + (part * Lanes)), Vector256.Load(bias + (part * Lanes) + 8));
            Vector256<float> a00 = b0, a01 = b1, a10 = b0, a11 = b1, a20 = b0, a21 = b1, a30 = b0, a31 = b1;
            var weights = w;
            for (var i = 0; i < inputs; i++, weights += TWeights.FloatsPerInput)
            {
                TWeights.Load(weights, part, out var w0, out var w1);
                var input = Vector256.Create(x[i]);
                a00 = Vector256.FusedMultiplyAdd(w0, input, a00);
                a01 = Vector256.FusedMultiplyAdd(w1, input, a01);
                input = Vector256.Create(x1[i]);
                a10 = Vector256.FusedMultiplyAdd(w0, input, a10);
                a11 = Vector256.FusedMultiplyAdd(w1, input, a11);
                input = Vector256.Create(x2[i]);
                a20 = Vector256.FusedMultiplyAdd(w0, input, a20);
                a21 = Vector256.FusedMultiplyAdd(w1, input, a21);
                input = Vector256.Create(x3[i]);
                a30 = Vector256.FusedMultiplyAdd(w0, input, a30);
                a31 = Vector256.FusedMultiplyAdd(w1, input, a31);
            }

            var target = y + (part * Lanes);
            a00.Store(target);
            a01.Store(target + 8);
            a10.Store(target + yStride);
            a11.Store(target + yStride + 8);
            a20.Store(target + (2L * yStride));
            a21.Store(target + (2L * yStride) + 8);
            a30.Store(target + (3L * yStride));
            a31.Store(target + (3L * yStride) + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Vector512<float> a0, Vector512<float> a1, Vector512<float> a2, Vector512<float> a3)
    {
        a0.Store(y);
        a1.Store(y + Lanes);
        a2.Store(y + (2 * Lanes));
        a3.Store(y + (3 * Lanes));
    }
}
