using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Dalle.Model.Kernels;

/// <summary>The inner loops of <see cref="AttentionKernel"/>, on tiles of <see cref="AttentionTiles.Side"/> rows.</summary>
internal static unsafe class TileMath
{
    private const int Side = AttentionTiles.Side;

    private static Vector512<int> LaneBits => Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);

    /// <summary>Adds the product of a tile's rows with a matrix to, or writes it as, a tile's rows: <c>c[i][n] (+)= sum over s of a[i][s] b[s][n]</c>.</summary>
    /// <param name="a">First factor, with its distances from row to row and from step to step: a transposed tile is one with the two exchanged.</param>
    /// <param name="aRow">See <paramref name="a"/>.</param>
    /// <param name="aStep">See <paramref name="a"/>.</param>
    /// <param name="b">Second factor, <paramref name="columns"/> long at every step.</param>
    /// <param name="bStep">Distance from step to step.</param>
    /// <param name="steps">Steps that are summed over.</param>
    /// <param name="c">Result.</param>
    /// <param name="cRow">Distance from row to row.</param>
    /// <param name="columns">A multiple of the lanes.</param>
    /// <param name="accumulate">Whether to add.</param>
    public static void Multiply(float* a, nint aRow, nint aStep, float* b, nint bStep, int steps, float* c, nint cRow, int columns, bool accumulate)
    {
        for (var row = 0; row < Side; row += 8, a += 8 * aRow, c += 8 * cRow)
        {
            var n = 0;
            for (; n + (2 * Element.Lanes) <= columns; n += 2 * Element.Lanes)
            {
                EightByTwo(a, aRow, aStep, b + n, b + n + Element.Lanes, bStep, steps, c + n, cRow, accumulate);
            }

            if (n < columns)
            {
                EightByOne(a, aRow, aStep, b + n, bStep, steps, c + n, cRow, accumulate);
            }
        }
    }

    /// <summary>The products of a tile's rows with transposed tiles of keys (or values), side by side: <c>[Side, tiles * Side]</c>.</summary>
    public static void Score(float* q, int headWidth, float* keyTiles, KeyTile[] row, float* scores)
    {
        var stride = row.Length * Side;
        for (var part = 0; part < Side; part += 8)
        {
            var queries = q + (part * headWidth);
            var target = scores + (part * stride);
            var tile = 0;
            for (; tile + 1 < row.Length; tile += 2, target += 2 * Side)
            {
                var left = keyTiles + (row[tile].Key * Side * headWidth);
                var right = keyTiles + (row[tile + 1].Key * Side * headWidth);
                EightByTwo(queries, headWidth, 1, left, right, Side, headWidth, target, stride, accumulate: false);
            }

            if (tile < row.Length)
            {
                EightByOne(queries, headWidth, 1, keyTiles + (row[tile].Key * Side * headWidth), Side, headWidth, target, stride, accumulate: false);
            }
        }
    }

    /// <summary>Sets the scores outside the mask to minus infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Mask(KeyTile[] row, float* scores)
    {
        var stride = row.Length * Side;
        for (var tile = 0; tile < row.Length; tile++)
        {
            if (row[tile].Slots is { } slots)
            {
                for (var i = 0; i < Side; i++)
                {
                    var target = scores + (i * stride) + (tile * Side);
                    var attended = Vector512.Equals(Vector512.Create((int)slots[i]) & LaneBits, LaneBits).AsSingle();
                    Vector512.ConditionalSelect(attended, Vector512.Load(target), Vector512.Create(float.NegativeInfinity)).Store(target);
                }
            }
        }
    }

    /// <summary>Turns scores into weights, in place.</summary>
    /// <returns>The logarithm of the exponentials' sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Softmax(float* scores, int count)
    {
        var largest = Vector512.Load(scores);
        for (var i = Element.Lanes; i < count; i += Element.Lanes)
        {
            largest = Vector512.MaxNative(largest, Vector512.Load(scores + i));
        }

        var max = VectorFunctions.Max(largest);
        Vector512<float> sums = default;
        for (var i = 0; i < count; i += Element.Lanes)
        {
            var power = VectorFunctions.Exp(Vector512.Load(scores + i) - Vector512.Create(max));
            power.Store(scores + i);
            sums += power;
        }

        var sum = Vector512.Sum(sums);
        var factor = Vector512.Create(1 / sum);
        for (var i = 0; i < count; i += Element.Lanes)
        {
            (Vector512.Load(scores + i) * factor).Store(scores + i);
        }

        return max + MathF.Log(sum);
    }

    /// <summary>Turns scores into weights, and the weights' gradients into the scores', in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SoftmaxGradient(float* scores, float* gradients, int count, float total)
    {
        Vector512<float> sums = default;
        for (var i = 0; i < count; i += Element.Lanes)
        {
            var weight = VectorFunctions.Exp(Vector512.Load(scores + i) - Vector512.Create(total));
            weight.Store(scores + i);
            sums += weight * Vector512.Load(gradients + i);
        }

        var along = Vector512.Create(Vector512.Sum(sums));
        for (var i = 0; i < count; i += Element.Lanes)
        {
            (Vector512.Load(scores + i) * (Vector512.Load(gradients + i) - along)).Store(gradients + i);
        }
    }

    // Eight rows by two vectors: sixteen sums in registers, which hides the latency of the multiply-adds.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByTwo(float* a, nint aRow, nint aStep, float* left, float* right, nint bStep, int steps, float* c, nint cRow, bool accumulate)
    {
        Vector512<float> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        Vector512<float> c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        nint two = 2 * aRow, three = 3 * aRow;
        var d = a + (4 * aRow);
        for (var step = 0; step < steps; step++, a += aStep, d += aStep, left += bStep, right += bStep)
        {
            var (b0, b1) = (Vector512.Load(left), Vector512.Load(right));
            var x = Vector512.Create(a[0]);
            c00 = Vector512.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(a[aRow]);
            c10 = Vector512.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(a[two]);
            c20 = Vector512.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(a[three]);
            c30 = Vector512.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(x, b1, c31);
            x = Vector512.Create(d[0]);
            c40 = Vector512.FusedMultiplyAdd(x, b0, c40);
            c41 = Vector512.FusedMultiplyAdd(x, b1, c41);
            x = Vector512.Create(d[aRow]);
            c50 = Vector512.FusedMultiplyAdd(x, b0, c50);
            c51 = Vector512.FusedMultiplyAdd(x, b1, c51);
            x = Vector512.Create(d[two]);
            c60 = Vector512.FusedMultiplyAdd(x, b0, c60);
            c61 = Vector512.FusedMultiplyAdd(x, b1, c61);
            x = Vector512.Create(d[three]);
            c70 = Vector512.FusedMultiplyAdd(x, b0, c70);
            c71 = Vector512.FusedMultiplyAdd(x, b1, c71);
        }

        Put(c, c00, c01, accumulate);
        Put(c += cRow, c10, c11, accumulate);
        Put(c += cRow, c20, c21, accumulate);
        Put(c += cRow, c30, c31, accumulate);
        Put(c += cRow, c40, c41, accumulate);
        Put(c += cRow, c50, c51, accumulate);
        Put(c += cRow, c60, c61, accumulate);
        Put(c + cRow, c70, c71, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByOne(float* a, nint aRow, nint aStep, float* b, nint bStep, int steps, float* c, nint cRow, bool accumulate)
    {
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default, c6 = default, c7 = default;
        nint two = 2 * aRow, three = 3 * aRow;
        var d = a + (4 * aRow);
        for (var step = 0; step < steps; step++, a += aStep, d += aStep, b += bStep)
        {
            var lanes = Vector512.Load(b);
            c0 = Vector512.FusedMultiplyAdd(Vector512.Create(a[0]), lanes, c0);
            c1 = Vector512.FusedMultiplyAdd(Vector512.Create(a[aRow]), lanes, c1);
            c2 = Vector512.FusedMultiplyAdd(Vector512.Create(a[two]), lanes, c2);
            c3 = Vector512.FusedMultiplyAdd(Vector512.Create(a[three]), lanes, c3);
            c4 = Vector512.FusedMultiplyAdd(Vector512.Create(d[0]), lanes, c4);
            c5 = Vector512.FusedMultiplyAdd(Vector512.Create(d[aRow]), lanes, c5);
            c6 = Vector512.FusedMultiplyAdd(Vector512.Create(d[two]), lanes, c6);
            c7 = Vector512.FusedMultiplyAdd(Vector512.Create(d[three]), lanes, c7);
        }

        Put(c, c0, accumulate);
        Put(c += cRow, c1, accumulate);
        Put(c += cRow, c2, accumulate);
        Put(c += cRow, c3, accumulate);
        Put(c += cRow, c4, accumulate);
        Put(c += cRow, c5, accumulate);
        Put(c += cRow, c6, accumulate);
        Put(c + cRow, c7, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector512<float> left, Vector512<float> right, bool accumulate)
    {
        Put(c, left, accumulate);
        Put(c + Element.Lanes, right, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector512<float> value, bool accumulate) => (accumulate ? Vector512.Load(c) + value : value).Store(c);
}
