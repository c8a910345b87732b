using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Sampling;

/// <summary>
/// A linear layer's weights, laid out once for the processor's vectors: tiles of 64 outputs, in a tile input by input, 64 weights side by side. A product
/// broadcasts one input and adds its 64 contributions, so it reads weights straight through and needs no sums across a vector.
/// </summary>
/// <remarks>
/// Every output of every row is the bias plus its products in the order of the inputs, each rounded once: the result depends neither on the other
/// rows nor on who computes which tile.
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Outputs of one tile.</summary>
    public const int TileWidth = 64;

    private const int Lanes = 16;

    private readonly FloatBuffer _weights;
    private readonly FloatBuffer _bias;

    /// <param name="weight">Float32 weights <c>[outputs, inputs]</c>.</param>
    /// <param name="bias">Float32 biases <c>[outputs]</c>, or null for none.</param>
    public PackedMatrix(Tensor weight, Tensor? bias)
    {
        var shape = weight.shape;
        (Outputs, Inputs) = ((int)shape[0], (int)shape[1]);
        Tiles = (Outputs + TileWidth - 1) / TileWidth;
        _weights = new((long)Tiles * TileWidth * Inputs);
        _bias = new(Tiles * TileWidth);
        using var scope = NewDisposeScope();
        var source = weight.detach().cpu().to(ScalarType.Float32).contiguous();
        for (var tile = 0; tile < Tiles; tile++)
        {
            var outputs = Math.Min(TileWidth, Outputs - (tile * TileWidth));
            for (var o = 0; o < outputs; o++)
            {
                using var row = source[(tile * TileWidth) + o];
                var values = MemoryMarshal.Cast<byte, float>(row.bytes);
                var target = Tile(tile) + o;
                for (var i = 0; i < Inputs; i++)
                {
                    target[(long)i * TileWidth] = values[i];
                }
            }
        }

        if (bias is not null)
        {
            MemoryMarshal.Cast<byte, float>(bias.detach().cpu().to(ScalarType.Float32).contiguous().bytes).CopyTo(_bias.Slice(0, Outputs));
        }
    }

    public int Outputs { get; }

    public int Inputs { get; }

    /// <summary>Number of tiles.</summary>
    public int Tiles { get; }

    /// <summary>Outputs with those that fill the last tile: the least stride of a result.</summary>
    public int PaddedOutputs => Tiles * TileWidth;

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
        for (var tile = firstTile; tile < endTile; tile++)
        {
            var weights = Tile(tile);
            var bias = _bias.Pointer + (tile * TileWidth);
            var target = y + (tile * TileWidth);
            var row = 0;
            for (; row + 4 <= rows; row += 4)
            {
                FourRows(weights, bias, Inputs, x + ((long)row * xStride), xStride, target + ((long)row * yStride), yStride);
            }

            for (; row < rows; row++)
            {
                OneRow(weights, bias, Inputs, x + ((long)row * xStride), target + ((long)row * yStride));
            }
        }
    }

    public void Dispose()
    {
        _weights.Dispose();
        _bias.Dispose();
    }

    private static void OneRow(float* w, float* bias, int inputs, float* x, float* y)
    {
        var a0 = Vector512.Load(bias);
        var a1 = Vector512.Load(bias + Lanes);
        var a2 = Vector512.Load(bias + (2 * Lanes));
        var a3 = Vector512.Load(bias + (3 * Lanes));
        for (var i = 0; i < inputs; i++, w += TileWidth)
        {
            var input = Vector512.Create(x[i]);
            a0 = Vector512.FusedMultiplyAdd(Vector512.Load(w), input, a0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Load(w + Lanes), input, a1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Load(w + (2 * Lanes)), input, a2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Load(w + (3 * Lanes)), input, a3);
        }

        Store(y, a0, a1, a2, a3);
    }

    /// <summary>Four rows at once, so that each weight that was loaded is used four times; the arithmetic of each row is that of <see cref="OneRow"/>.</summary>
    private static void FourRows(float* w, float* bias, int inputs, float* x, int xStride, float* y, int yStride)
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
        for (var i = 0; i < inputs; i++, w += TileWidth)
        {
            var w0 = Vector512.Load(w);
            var w1 = Vector512.Load(w + Lanes);
            var w2 = Vector512.Load(w + (2 * Lanes));
            var w3 = Vector512.Load(w + (3 * Lanes));
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Vector512<float> a0, Vector512<float> a1, Vector512<float> a2, Vector512<float> a3)
    {
        a0.Store(y);
        a1.Store(y + Lanes);
        a2.Store(y + (2 * Lanes));
        a3.Store(y + (3 * Lanes));
    }

    private float* Tile(int tile) => _weights.Pointer + ((long)tile * TileWidth * Inputs);
}
