using System.Runtime.CompilerServices;

namespace Dalle.Model.Kernels;

/// <summary>The inner loops of <see cref="AttentionKernel"/>, on tiles of <see cref="AttentionTiles.Side"/> rows.</summary>
internal static unsafe class TileMath
{
    private const int Side = AttentionTiles.Side;

    /// <summary>Adds the product of a tile's rows with a matrix to, or writes it as, a tile's rows: <c>c[i][n] (+)= sum over s of a[i][s] b[s][n]</c>.</summary>
    /// <param name="a">First factor, with its distances from row to row and from step to step: a transposed tile is one with the two exchanged.</param>
    /// <param name="aRow">See <paramref name="a"/>.</param>
    /// <param name="aStep">See <paramref name="a"/>.</param>
    /// <param name="b">Second factor, <paramref name="columns"/> long at every step.</param>
    /// <param name="bStep">Distance from step to step.</param>
    /// <param name="steps">Steps that are summed over.</param>
    /// <param name="c">Result.</param>
    /// <param name="cRow">Distance from row to row.</param>
    /// <param name="columns">A multiple of <see cref="Element.Lanes"/>.</param>
    /// <param name="accumulate">Whether to add.</param>
    public static void Multiply<TLanes>(float* a, nint aRow, nint aStep, float* b, nint bStep, int steps, float* c, nint cRow, int columns, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        if (TLanes.Count < Side)
        {
            for (var row = 0; row < Side; row += 4, a += 4 * aRow, c += 4 * cRow)
            {
                for (var n = 0; n < columns; n += Side)
                {
                    FourByTwo<TLanes>(a, aRow, aStep, b + n, bStep, steps, c + n, cRow, accumulate);
                }
            }

            return;
        }

        for (var row = 0; row < Side; row += 8, a += 8 * aRow, c += 8 * cRow)
        {
            var n = 0;
            for (; n + (2 * Side) <= columns; n += 2 * Side)
            {
                EightByTwo<TLanes>(a, aRow, aStep, b + n, b + n + Side, bStep, steps, c + n, cRow, accumulate);
            }

            if (n < columns)
            {
                EightByOne<TLanes>(a, aRow, aStep, b + n, bStep, steps, c + n, cRow, accumulate);
            }
        }
    }

    /// <summary>The products of a tile's rows with transposed tiles of keys (or values), side by side: <c>[Side, tiles * Side]</c>.</summary>
    public static void Score<TLanes>(float* q, int headWidth, float* keyTiles, KeyTile[] row, float* scores)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var stride = row.Length * Side;
        if (TLanes.Count < Side)
        {
            for (var part = 0; part < Side; part += 4)
            {
                var queries = q + (part * headWidth);
                var target = scores + (part * stride);
                for (var tile = 0; tile < row.Length; tile++, target += Side)
                {
                    FourByTwo<TLanes>(queries, headWidth, 1, keyTiles + (row[tile].Key * Side * headWidth), Side, headWidth, target, stride, accumulate: false);
                }
            }

            return;
        }

        for (var part = 0; part < Side; part += 8)
        {
            var queries = q + (part * headWidth);
            var target = scores + (part * stride);
            var tile = 0;
            for (; tile + 1 < row.Length; tile += 2, target += 2 * Side)
            {
                var left = keyTiles + (row[tile].Key * Side * headWidth);
                var right = keyTiles + (row[tile + 1].Key * Side * headWidth);
                EightByTwo<TLanes>(queries, headWidth, 1, left, right, Side, headWidth, target, stride, accumulate: false);
            }

            if (tile < row.Length)
            {
                EightByOne<TLanes>(queries, headWidth, 1, keyTiles + (row[tile].Key * Side * headWidth), Side, headWidth, target, stride, accumulate: false);
            }
        }
    }

    /// <summary>Sets the scores outside the mask to minus infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Mask<TLanes>(KeyTile[] row, float* scores)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var stride = row.Length * Side;
        for (var tile = 0; tile < row.Length; tile++)
        {
            if (row[tile].Slots is { } slots)
            {
                for (var i = 0; i < Side; i++)
                {
                    var target = scores + (i * stride) + (tile * Side);
                    for (var key = 0; key < Side; key += TLanes.Count)
                    {
                        TLanes.Mask(slots[i] >> key, TLanes.Load(target + key)).Store(target + key);
                    }
                }
            }
        }
    }

    /// <summary>Turns scores into weights, in place.</summary>
    /// <returns>The logarithm of the exponentials' sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Softmax<TLanes>(float* scores, int count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var largest = TLanes.Load(scores);
        for (var i = TLanes.Count; i < count; i += TLanes.Count)
        {
            largest = TLanes.Max(largest, TLanes.Load(scores + i));
        }

        var max = TLanes.Largest(largest);
        var shift = TLanes.Create(max);
        TLanes sums = default;
        for (var i = 0; i < count; i += TLanes.Count)
        {
            var power = VectorFunctions.Exp(TLanes.Load(scores + i) - shift);
            power.Store(scores + i);
            sums += power;
        }

        var sum = TLanes.Sum(sums);
        var factor = TLanes.Create(1 / sum);
        for (var i = 0; i < count; i += TLanes.Count)
        {
            (TLanes.Load(scores + i) * factor).Store(scores + i);
        }

        return max + MathF.Log(sum);
    }

    /// <summary>Turns scores into weights, and the weights' gradients into the scores', in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SoftmaxGradient<TLanes>(float* scores, float* gradients, int count, float total)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var shift = TLanes.Create(total);
        TLanes sums = default;
        for (var i = 0; i < count; i += TLanes.Count)
        {
            var weight = VectorFunctions.Exp(TLanes.Load(scores + i) - shift);
            weight.Store(scores + i);
            sums += weight * TLanes.Load(gradients + i);
        }

        var along = TLanes.Create(TLanes.Sum(sums));
        for (var i = 0; i < count; i += TLanes.Count)
        {
            (TLanes.Load(scores + i) * (TLanes.Load(gradients + i) - along)).Store(gradients + i);
        }
    }

    // Eight rows by two vectors: sixteen sums in registers, which hides the latency of the multiply-adds.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByTwo<TLanes>(float* a, nint aRow, nint aStep, float* left, float* right, nint bStep, int steps, float* c, nint cRow, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        TLanes c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        nint two = 2 * aRow, three = 3 * aRow;
        var d = a + (4 * aRow);
        for (var step = 0; step < steps; step++, a += aStep, d += aStep, left += bStep, right += bStep)
        {
            var (b0, b1) = (TLanes.Load(left), TLanes.Load(right));
            var x = TLanes.Create(a[0]);
            c00.AddProduct(x, b0);
            c01.AddProduct(x, b1);
            x = TLanes.Create(a[aRow]);
            c10.AddProduct(x, b0);
            c11.AddProduct(x, b1);
            x = TLanes.Create(a[two]);
            c20.AddProduct(x, b0);
            c21.AddProduct(x, b1);
            x = TLanes.Create(a[three]);
            c30.AddProduct(x, b0);
            c31.AddProduct(x, b1);
            x = TLanes.Create(d[0]);
            c40.AddProduct(x, b0);
            c41.AddProduct(x, b1);
            x = TLanes.Create(d[aRow]);
            c50.AddProduct(x, b0);
            c51.AddProduct(x, b1);
            x = TLanes.Create(d[two]);
            c60.AddProduct(x, b0);
            c61.AddProduct(x, b1);
            x = TLanes.Create(d[three]);
            c70.AddProduct(x, b0);
            c71.AddProduct(x, b1);
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
    private static void EightByOne<TLanes>(float* a, nint aRow, nint aStep, float* b, nint bStep, int steps, float* c, nint cRow, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default, c6 = default, c7 = default;
        nint two = 2 * aRow, three = 3 * aRow;
        var d = a + (4 * aRow);
        for (var step = 0; step < steps; step++, a += aStep, d += aStep, b += bStep)
        {
            var lanes = TLanes.Load(b);
            c0.AddProduct(TLanes.Create(a[0]), lanes);
            c1.AddProduct(TLanes.Create(a[aRow]), lanes);
            c2.AddProduct(TLanes.Create(a[two]), lanes);
            c3.AddProduct(TLanes.Create(a[three]), lanes);
            c4.AddProduct(TLanes.Create(d[0]), lanes);
            c5.AddProduct(TLanes.Create(d[aRow]), lanes);
            c6.AddProduct(TLanes.Create(d[two]), lanes);
            c7.AddProduct(TLanes.Create(d[three]), lanes);
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

    // Four rows by two vectors, for processors with 16 registers: eight sums are the fewest that hide the latency of the multiply-adds.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByTwo<TLanes>(float* a, nint aRow, nint aStep, float* b, nint bStep, int steps, float* c, nint cRow, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        nint two = 2 * aRow, three = 3 * aRow;
        for (var step = 0; step < steps; step++, a += aStep, b += bStep)
        {
            var (b0, b1) = (TLanes.Load(b), TLanes.Load(b + TLanes.Count));
            var x = TLanes.Create(a[0]);
            c00.AddProduct(x, b0);
            c01.AddProduct(x, b1);
            x = TLanes.Create(a[aRow]);
            c10.AddProduct(x, b0);
            c11.AddProduct(x, b1);
            x = TLanes.Create(a[two]);
            c20.AddProduct(x, b0);
            c21.AddProduct(x, b1);
            x = TLanes.Create(a[three]);
            c30.AddProduct(x, b0);
            c31.AddProduct(x, b1);
        }

        Put(c, c00, c01, accumulate);
        Put(c += cRow, c10, c11, accumulate);
        Put(c += cRow, c20, c21, accumulate);
        Put(c + cRow, c30, c31, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TLanes>(float* c, TLanes left, TLanes right, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        Put(c, left, accumulate);
        Put(c + TLanes.Count, right, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TLanes>(float* c, TLanes value, bool accumulate)
        where TLanes : unmanaged, ILanes<TLanes>
        => (accumulate ? TLanes.Load(c) + value : value).Store(c);
}
