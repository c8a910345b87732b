using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Dalle.Model.Kernels;

// Shape suffixes: B batch, N heads, L slots (AttentionTiles), C model width, R = B * S rows.

/// <summary>
/// Masked self-attention on the CPU, one head of one sequence at a time: its queries, keys and values fit a core's cache, and no array of weights is
/// ever written out. 32 bit inside, whatever the format outside.
/// </summary>
internal sealed unsafe class AttentionKernel(AttentionTiles tiles, int heads, int headWidth, int sequence)
{
    private const int Side = AttentionTiles.Side;

    private readonly int _width = heads * headWidth;
    private readonly float _scale = 1 / MathF.Sqrt(headWidth);

    /// <param name="qkv_R3C">Queries, keys and values.</param>
    /// <param name="attended_RC">Receives the attended values.</param>
    /// <returns>For each query the logarithm of its exponentials' sum: float32 <c>[B, N, L]</c>.</returns>
    public Tensor Forward(Tensor qkv_R3C, Tensor attended_RC) =>
        Vector512.IsHardwareAccelerated ? Forward<Lanes16>(qkv_R3C, attended_RC) : Forward<Lanes8>(qkv_R3C, attended_RC);

    /// <summary><see cref="Forward(Tensor, Tensor)"/> with vectors of one length.</summary>
    public Tensor Forward<TLanes>(Tensor qkv_R3C, Tensor attended_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        => qkv_R3C.dtype == ScalarType.BFloat16 ? Forward<TLanes, BFloat16>(qkv_R3C, attended_RC) : Forward<TLanes, Float32>(qkv_R3C, attended_RC);

    /// <param name="gradient_RC">Gradient of the attended values.</param>
    /// <param name="qkv_R3C">As in the forward pass.</param>
    /// <param name="total_BNL">What the forward pass returned.</param>
    /// <param name="qkvGradient_R3C">Receives the gradient of queries, keys and values.</param>
    public void Backward(Tensor gradient_RC, Tensor qkv_R3C, Tensor total_BNL, Tensor qkvGradient_R3C)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Backward<Lanes16>(gradient_RC, qkv_R3C, total_BNL, qkvGradient_R3C);
        }
        else
        {
            Backward<Lanes8>(gradient_RC, qkv_R3C, total_BNL, qkvGradient_R3C);
        }
    }

    /// <summary><see cref="Backward(Tensor, Tensor, Tensor, Tensor)"/> with vectors of one length.</summary>
    public void Backward<TLanes>(Tensor gradient_RC, Tensor qkv_R3C, Tensor total_BNL, Tensor qkvGradient_R3C)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        if (qkv_R3C.dtype == ScalarType.BFloat16)
        {
            Backward<TLanes, BFloat16>(gradient_RC, qkv_R3C, total_BNL, qkvGradient_R3C);
        }
        else
        {
            Backward<TLanes, Float32>(gradient_RC, qkv_R3C, total_BNL, qkvGradient_R3C);
        }
    }

    private Tensor Forward<TLanes, T>(Tensor qkv_R3C, Tensor attended_RC)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var batch = (int)(qkv_R3C.shape[0] / sequence);
        var total_BNL = empty(batch, heads, tiles.Order.Length);
        var qkv = TensorMemory.Pointer<T>(qkv_R3C);
        var attended = TensorMemory.Pointer<T>(attended_RC);
        var total = TensorMemory.Pointer<float>(total_BNL);
        CpuTeam.Run(batch * heads, head => Forward<TLanes, T>(qkv + First(head, 3 * _width), attended + First(head, _width), total + (head * tiles.Order.Length)));
        return total_BNL;
    }

    private void Backward<TLanes, T>(Tensor gradient_RC, Tensor qkv_R3C, Tensor total_BNL, Tensor qkvGradient_R3C)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var batch = (int)(qkv_R3C.shape[0] / sequence);
        var gradient = TensorMemory.Pointer<T>(gradient_RC);
        var qkv = TensorMemory.Pointer<T>(qkv_R3C);
        var total = TensorMemory.Pointer<float>(total_BNL);
        var qkvGradient = TensorMemory.Pointer<T>(qkvGradient_R3C);
        CpuTeam.Run(batch * heads, head =>
            Backward<TLanes, T>(gradient + First(head, _width), qkv + First(head, 3 * _width), total + (head * tiles.Order.Length), qkvGradient + First(head, 3 * _width)));
    }

    // Where the rows of a head of a sequence start.
    private long First(int head, int stride) => ((long)(head / heads) * sequence * stride) + (head % heads * headWidth);

    private void Forward<TLanes, T>(T* qkv, T* attended, float* total)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        using var buffer = new HeadBuffer(tiles.Order, headWidth, arrays: 5, Side * tiles.Widest);
        var q = buffer.Gather<TLanes, T>(qkv, 3 * _width, _scale);
        var keyTiles = buffer.Transpose(buffer.Gather<TLanes, T>(qkv + _width, 3 * _width, 1));
        var v = buffer.Gather<TLanes, T>(qkv + (2 * _width), 3 * _width, 1);
        var output = buffer.Zeros();
        var weights = buffer.Take(Side * tiles.Widest);
        for (var tile = 0; tile < tiles.Count; tile++)
        {
            var row = tiles.Rows[tile];
            var stride = row.Length * Side;
            var at = tile * Side * headWidth;
            TileMath.Score<TLanes>(q + at, headWidth, keyTiles, row, weights);
            TileMath.Mask<TLanes>(row, weights);
            for (var i = 0; i < Side; i++)
            {
                total[(tile * Side) + i] = TileMath.Softmax<TLanes>(weights + (i * stride), stride);
            }

            for (var n = 0; n < row.Length; n++)
            {
                TileMath.Multiply<TLanes>(weights + (n * Side), stride, 1, v + (row[n].Key * Side * headWidth), headWidth, Side, output + at, headWidth, headWidth, accumulate: true);
            }
        }

        buffer.Scatter<TLanes, T>(output, 1, attended, _width);
    }

    private void Backward<TLanes, T>(T* gradient, T* qkv, float* total, T* qkvGradient)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        using var buffer = new HeadBuffer(tiles.Order, headWidth, arrays: 9, 2 * Side * tiles.Widest);
        var q = buffer.Gather<TLanes, T>(qkv, 3 * _width, _scale);
        var k = buffer.Gather<TLanes, T>(qkv + _width, 3 * _width, 1);
        var keyTiles = buffer.Transpose(k);
        var valueTiles = buffer.Transpose(buffer.Gather<TLanes, T>(qkv + (2 * _width), 3 * _width, 1));
        var outer = buffer.Gather<TLanes, T>(gradient, _width, 1);
        float* qGradient = buffer.Zeros(), kGradient = buffer.Zeros(), vGradient = buffer.Zeros();
        float* weights = buffer.Take(Side * tiles.Widest), scores = buffer.Take(Side * tiles.Widest);
        for (var tile = 0; tile < tiles.Count; tile++)
        {
            var row = tiles.Rows[tile];
            var stride = row.Length * Side;
            var at = tile * Side * headWidth;
            TileMath.Score<TLanes>(q + at, headWidth, keyTiles, row, weights);
            TileMath.Mask<TLanes>(row, weights);
            TileMath.Score<TLanes>(outer + at, headWidth, valueTiles, row, scores);
            for (var i = 0; i < Side; i++)
            {
                TileMath.SoftmaxGradient<TLanes>(weights + (i * stride), scores + (i * stride), stride, total[(tile * Side) + i]);
            }

            for (var n = 0; n < row.Length; n++)
            {
                var key = row[n].Key * Side * headWidth;
                TileMath.Multiply<TLanes>(scores + (n * Side), stride, 1, k + key, headWidth, Side, qGradient + at, headWidth, headWidth, accumulate: true);
                TileMath.Multiply<TLanes>(scores + (n * Side), 1, stride, q + at, headWidth, Side, kGradient + key, headWidth, headWidth, accumulate: true);
                TileMath.Multiply<TLanes>(weights + (n * Side), 1, stride, outer + at, headWidth, Side, vGradient + key, headWidth, headWidth, accumulate: true);
            }
        }

        buffer.Scatter<TLanes, T>(qGradient, _scale, qkvGradient, 3 * _width);
        buffer.Scatter<TLanes, T>(kGradient, 1, qkvGradient + _width, 3 * _width);
        buffer.Scatter<TLanes, T>(vGradient, 1, qkvGradient + (2 * _width), 3 * _width);
    }
}
