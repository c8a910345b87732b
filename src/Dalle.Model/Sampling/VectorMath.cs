using System.Runtime.Intrinsics;

namespace Dalle.Model.Sampling;

/// <summary>What a transformer computes besides matrix products, on rows whose length is a multiple of 16.</summary>
internal static unsafe class VectorMath
{
    private const int Lanes = 16;

    // The networks' own (LayerNorm, Activation).
    private const float Epsilon = 1e-5f, Slope = 1.702f;

    private static Vector512<int> LaneBits => Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);

    /// <summary>Layer normalisation with gain and bias.</summary>
    public static void Normalize(float* x, float* gain, float* bias, float* y, int length)
    {
        var sum = Vector512<float>.Zero;
        for (var i = 0; i < length; i += Lanes)
        {
            sum += Vector512.Load(x + i);
        }

        var mean = Vector512.Create(Vector512.Sum(sum) / length);
        var squares = Vector512<float>.Zero;
        for (var i = 0; i < length; i += Lanes)
        {
            var centered = Vector512.Load(x + i) - mean;
            squares += centered * centered;
        }

        var scale = Vector512.Create(1 / MathF.Sqrt((Vector512.Sum(squares) / length) + Epsilon));
        for (var i = 0; i < length; i += Lanes)
        {
            (((Vector512.Load(x + i) - mean) * scale * Vector512.Load(gain + i)) + Vector512.Load(bias + i)).Store(y + i);
        }
    }

    /// <summary>The hidden layers' activation, x * sigmoid(1.702 x), in place.</summary>
    public static void Activate(float* x, int length)
    {
        for (var i = 0; i < length; i += Lanes)
        {
            var value = Vector512.Load(x + i);
            (value / (Vector512<float>.One + Vector512.Exp(value * -Slope))).Store(x + i);
        }
    }

    /// <summary><c>x += y</c>.</summary>
    public static void Add(float* x, float* y, int length)
    {
        for (var i = 0; i < length; i += Lanes)
        {
            (Vector512.Load(x + i) + Vector512.Load(y + i)).Store(x + i);
        }
    }

    /// <summary>The scores of a query against some blocks of keys; minus infinity where the query does not attend.</summary>
    /// <param name="query">One head's query, scaled.</param>
    /// <param name="keys">Blocks of keys, <c>[block][component][16]</c>.</param>
    /// <param name="blocks">The blocks, and the slots in them.</param>
    /// <param name="headWidth">Components.</param>
    /// <param name="scores">Receives 16 scores per block.</param>
    /// <returns>The largest score, lane by lane.</returns>
    public static Vector512<float> Scores(float* query, float* keys, ReadOnlySpan<SlotBlock> blocks, int headWidth, float* scores)
    {
        var largest = Vector512.Create(float.NegativeInfinity);
        foreach (var block in blocks)
        {
            var key = keys + ((long)block.Block * Lanes * headWidth);
            Vector512<float> even = Vector512<float>.Zero, odd = Vector512<float>.Zero;
            for (var i = 0; i < headWidth; i += 2)
            {
                even = Vector512.FusedMultiplyAdd(Vector512.Load(key + (i * Lanes)), Vector512.Create(query[i]), even);
                odd = Vector512.FusedMultiplyAdd(Vector512.Load(key + ((i + 1) * Lanes)), Vector512.Create(query[i + 1]), odd);
            }

            var bit = Vector512.Create((int)block.Slots) & LaneBits;
            var attended = Vector512.ConditionalSelect(
                Vector512.Equals(bit, Vector512<int>.Zero).AsSingle(), Vector512.Create(float.NegativeInfinity), even + odd);
            attended.Store(scores);
            largest = Vector512.Max(largest, attended);
            scores += Lanes;
        }

        return largest;
    }

    /// <summary>The largest lane.</summary>
    public static float Largest(Vector512<float> lanes)
    {
        var largest = lanes[0];
        for (var i = 1; i < Lanes; i++)
        {
            largest = Math.Max(largest, lanes[i]);
        }

        return largest;
    }

    /// <summary><c>x *= factor</c>.</summary>
    public static void Scale(float* x, float factor, int length)
    {
        for (var i = 0; i < length; i += Lanes)
        {
            (Vector512.Load(x + i) * factor).Store(x + i);
        }
    }

    /// <summary>Turns scores into weights, <c>exp(score - largest)</c>, in place, and returns their sum.</summary>
    public static float Exponentials(float* scores, int count, float largest)
    {
        var sum = Vector512<float>.Zero;
        for (var i = 0; i < count; i += Lanes)
        {
            var weight = Vector512.Exp(Vector512.Load(scores + i) - Vector512.Create(largest));
            weight.Store(scores + i);
            sum += weight;
        }

        return Vector512.Sum(sum);
    }

    /// <summary>Adds the weighted values of some blocks to a head's output. Slots that are not attended to have weight 0.</summary>
    public static void AddValues(float* weights, float* values, ReadOnlySpan<SlotBlock> blocks, int headWidth, float* output)
    {
        for (var start = 0; start < headWidth; start += Lanes)
        {
            Vector512<float> sum0 = Vector512.Load(output + start), sum1 = Vector512<float>.Zero, sum2 = sum1, sum3 = sum1;
            var weight = weights;
            foreach (var block in blocks)
            {
                var value = values + ((long)block.Block * Lanes * headWidth) + start;
                for (var slot = 0; slot < Lanes; slot += 4, value += 4 * headWidth)
                {
                    sum0 = Vector512.FusedMultiplyAdd(Vector512.Load(value), Vector512.Create(weight[slot]), sum0);
                    sum1 = Vector512.FusedMultiplyAdd(Vector512.Load(value + headWidth), Vector512.Create(weight[slot + 1]), sum1);
                    sum2 = Vector512.FusedMultiplyAdd(Vector512.Load(value + (2 * headWidth)), Vector512.Create(weight[slot + 2]), sum2);
                    sum3 = Vector512.FusedMultiplyAdd(Vector512.Load(value + (3 * headWidth)), Vector512.Create(weight[slot + 3]), sum3);
                }

                weight += Lanes;
            }

            ((sum0 + sum1) + (sum2 + sum3)).Store(output + start);
        }
    }
}
