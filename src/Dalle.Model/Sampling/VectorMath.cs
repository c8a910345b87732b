using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dalle.Model.Kernels;

namespace Dalle.Model.Sampling;

/// <summary>What a transformer computes besides matrix products, on rows whose length is a multiple of 16, in the longest vectors that the processor has.</summary>
internal static unsafe class VectorMath
{
    /// <summary>Slots of a block of keys.</summary>
    private const int BlockSize = AttentionPlan.BlockSize;

    // The networks' own (LayerNorm, Activation).
    private const float Epsilon = 1e-5f, Slope = 1.702f;

    /// <summary>Layer normalisation with gain and bias.</summary>
    public static void Normalize(float* x, float* gain, float* bias, float* y, int length)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Normalize<Lanes16>(x, gain, bias, y, length);
        }
        else
        {
            Normalize<Lanes8>(x, gain, bias, y, length);
        }
    }

    /// <summary>The hidden layers' activation, x * sigmoid(1.702 x), in place.</summary>
    public static void Activate(float* x, int length)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Activate<Lanes16>(x, length);
        }
        else
        {
            Activate<Lanes8>(x, length);
        }
    }

    /// <summary><c>x += y</c>.</summary>
    public static void Add(float* x, float* y, int length)
    {
        // No sum is rounded otherwise in shorter vectors.
        for (var i = 0; i < length; i += Lanes8.Count)
        {
            (Lanes8.Load(x + i) + Lanes8.Load(y + i)).Store(x + i);
        }
    }

    /// <summary>One head's attention of one query to the keys and values of a caption and of an image.</summary>
    /// <param name="query">The query, scaled.</param>
    /// <param name="text">The caption's entries.</param>
    /// <param name="image">The image's entries.</param>
    /// <param name="headWidth">Components.</param>
    /// <param name="scores">Room for 16 numbers for each block.</param>
    /// <param name="output">Receives the head's output.</param>
    public static void Attend<TElement>(float* query, HeadEntries<TElement> text, HeadEntries<TElement> image, int headWidth, float* scores, float* output)
        where TElement : unmanaged, IMoment<TElement>
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Attend<Lanes16, TElement>(query, text, image, headWidth, scores, output);
        }
        else
        {
            Attend<Lanes8, TElement>(query, text, image, headWidth, scores, output);
        }
    }

    /// <summary>Writes floats as elements.</summary>
    public static void Store<TElement>(float* x, TElement* y, int length)
        where TElement : unmanaged, IMoment<TElement>
    {
        for (var i = 0; i < length; i += Lanes8.Count)
        {
            TElement.Store(Lanes8.Load(x + i), y + i);
        }
    }

    internal static void Normalize<TLanes>(float* x, float* gain, float* bias, float* y, int length)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var sum = TLanes.Create(0);
        for (var i = 0; i < length; i += TLanes.Count)
        {
            sum += TLanes.Load(x + i);
        }

        var mean = TLanes.Create(TLanes.Sum(sum) / length);
        var squares = TLanes.Create(0);
        for (var i = 0; i < length; i += TLanes.Count)
        {
            var centered = TLanes.Load(x + i) - mean;
            squares.AddProduct(centered, centered);
        }

        var scale = TLanes.Create(1 / MathF.Sqrt((TLanes.Sum(squares) / length) + Epsilon));
        for (var i = 0; i < length; i += TLanes.Count)
        {
            TLanes.FusedMultiplyAdd((TLanes.Load(x + i) - mean) * scale, TLanes.Load(gain + i), TLanes.Load(bias + i)).Store(y + i);
        }
    }

    internal static void Activate<TLanes>(float* x, int length)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (var i = 0; i < length; i += TLanes.Count)
        {
            var value = TLanes.Load(x + i);
            (value * VectorFunctions.Sigmoid(value * TLanes.Create(Slope))).Store(x + i);
        }
    }

    internal static void Attend<TLanes, TElement>(float* query, HeadEntries<TElement> text, HeadEntries<TElement> image, int headWidth, float* scores, float* output)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged, IMoment<TElement>
    {
        var imageScores = scores + (text.Blocks.Length * BlockSize);
        var largest = Math.Max(Scores<TLanes, TElement>(query, text, headWidth, scores), Scores<TLanes, TElement>(query, image, headWidth, imageScores));
        var sum = Exponentials<TLanes>(scores, (text.Blocks.Length + image.Blocks.Length) * BlockSize, largest);
        var scale = TLanes.Create(1 / sum);

        // In parts of two vectors, whose sums stay in registers.
        for (var start = 0; start < headWidth; start += 2 * TLanes.Count)
        {
            var width = Math.Min(headWidth - start, 2 * TLanes.Count);
            if (width == 2 * TLanes.Count)
            {
                TLanes even0 = TLanes.Create(0), even1 = even0, odd0 = even0, odd1 = even0;
                AddValues(scores, text, headWidth, start, ref even0, ref even1, ref odd0, ref odd1);
                AddValues(imageScores, image, headWidth, start, ref even0, ref even1, ref odd0, ref odd1);
                ((even0 + odd0) * scale).Store(output + start);
                ((even1 + odd1) * scale).Store(output + start + TLanes.Count);
            }
            else
            {
                TLanes even = TLanes.Create(0), odd = even;
                AddValues(scores, text, headWidth, start, ref even, ref odd);
                AddValues(imageScores, image, headWidth, start, ref even, ref odd);
                ((even + odd) * scale).Store(output + start);
            }
        }
    }

    /// <summary>The scores of a query against some blocks of keys, 16 for each block; minus infinity where the query does not attend.</summary>
    /// <returns>The largest score.</returns>
    private static float Scores<TLanes, TElement>(float* query, HeadEntries<TElement> entries, int headWidth, float* scores)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged, IMoment<TElement>
    {
        var largest = TLanes.Create(float.NegativeInfinity);
        foreach (var block in entries.Blocks)
        {
            for (var part = 0; part < BlockSize; part += TLanes.Count)
            {
                var key = entries.Keys + ((long)block.Block * BlockSize * headWidth) + part;
                TLanes sum0 = TLanes.Create(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
                for (var i = 0; i < headWidth; i += 4, key += 4 * BlockSize)
                {
                    sum0.AddProduct(TElement.Load<TLanes>(key), TLanes.Create(query[i]));
                    sum1.AddProduct(TElement.Load<TLanes>(key + BlockSize), TLanes.Create(query[i + 1]));
                    sum2.AddProduct(TElement.Load<TLanes>(key + (2 * BlockSize)), TLanes.Create(query[i + 2]));
                    sum3.AddProduct(TElement.Load<TLanes>(key + (3 * BlockSize)), TLanes.Create(query[i + 3]));
                }

                var attended = TLanes.Mask(block.Slots >> part, (sum0 + sum1) + (sum2 + sum3));
                attended.Store(scores);
                largest = TLanes.Max(largest, attended);
                scores += TLanes.Count;
            }
        }

        return TLanes.Largest(largest);
    }

    /// <summary>Turns scores into weights, <c>exp(score - largest)</c>, in place, and returns their sum.</summary>
    private static float Exponentials<TLanes>(float* scores, int count, float largest)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var sum = TLanes.Create(0);
        var highest = TLanes.Create(largest);
        for (var i = 0; i < count; i += TLanes.Count)
        {
            var weight = VectorFunctions.Exp(TLanes.Load(scores + i) - highest);
            weight.Store(scores + i);
            sum += weight;
        }

        return TLanes.Sum(sum);
    }

    /// <summary>Adds the weighted values of some blocks, two vectors of a head. Slots that are not attended to have weight 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddValues<TLanes, TElement>(
        float* weight, HeadEntries<TElement> entries, int headWidth, int start, ref TLanes even0, ref TLanes even1, ref TLanes odd0, ref TLanes odd1)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged, IMoment<TElement>
    {
        var (e0, e1, o0, o1) = (even0, even1, odd0, odd1);
        foreach (var block in entries.Blocks)
        {
            var value = entries.Values + ((long)block.Block * BlockSize * headWidth) + start;
            for (var slot = 0; slot < BlockSize; slot += 2, value += 2 * headWidth)
            {
                var (first, second) = (TLanes.Create(weight[slot]), TLanes.Create(weight[slot + 1]));
                e0.AddProduct(TElement.Load<TLanes>(value), first);
                e1.AddProduct(TElement.Load<TLanes>(value + TLanes.Count), first);
                o0.AddProduct(TElement.Load<TLanes>(value + headWidth), second);
                o1.AddProduct(TElement.Load<TLanes>(value + headWidth + TLanes.Count), second);
            }

            weight += BlockSize;
        }

        (even0, even1, odd0, odd1) = (e0, e1, o0, o1);
    }

    /// <summary>The same for one vector of a head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddValues<TLanes, TElement>(float* weight, HeadEntries<TElement> entries, int headWidth, int start, ref TLanes even, ref TLanes odd)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged, IMoment<TElement>
    {
        foreach (var block in entries.Blocks)
        {
            var value = entries.Values + ((long)block.Block * BlockSize * headWidth) + start;
            for (var slot = 0; slot < BlockSize; slot += 2, value += 2 * headWidth)
            {
                even.AddProduct(TElement.Load<TLanes>(value), TLanes.Create(weight[slot]));
                odd.AddProduct(TElement.Load<TLanes>(value + headWidth), TLanes.Create(weight[slot + 1]));
            }

            weight += BlockSize;
        }
    }
}
