namespace Dalle.Data.Augmentation;

/// <summary>Exact area resize: every target pixel is the mean of the source rectangle it covers, with border pixels weighted by their covered share.</summary>
internal static class AreaResize
{
    /// <summary>Resizes a square of a picture.</summary>
    /// <param name="rgb">Source bytes <c>[height, width, 3]</c>.</param>
    /// <param name="width">Pixels of a source row.</param>
    /// <param name="left">Left edge of the square.</param>
    /// <param name="top">Upper edge of the square.</param>
    /// <param name="side">Side of the square, in source pixels.</param>
    /// <param name="size">Side of the result.</param>
    /// <returns>Values from 0 to 255, <c>[size, size, 3]</c>.</returns>
    public static float[] Square(ReadOnlySpan<byte> rgb, int width, int left, int top, int side, int size)
    {
        var weights = Weights(side, size);

        // Columns first, over all source rows of the square, then rows: the box filter is separable.
        var narrowed = new float[side * size * 3];
        for (var y = 0; y < side; y++)
        {
            var row = rgb.Slice((((top + y) * width) + left) * 3, side * 3);
            for (var x = 0; x < size; x++)
            {
                foreach (var (from, weight) in weights[x])
                {
                    for (var c = 0; c < 3; c++)
                    {
                        narrowed[(((y * size) + x) * 3) + c] += weight * row[(from * 3) + c];
                    }
                }
            }
        }

        var result = new float[size * size * 3];
        var stride = size * 3;
        for (var y = 0; y < size; y++)
        {
            foreach (var (from, weight) in weights[y])
            {
                for (var i = 0; i < stride; i++)
                {
                    result[(y * stride) + i] += weight * narrowed[(from * stride) + i];
                }
            }
        }

        return result;
    }

    /// <summary>For every target pixel the source pixels it covers and their shares, which sum to 1.</summary>
    private static (int From, float Weight)[][] Weights(int side, int size)
    {
        var weights = new (int, float)[size][];
        var scale = (double)side / size;
        for (var target = 0; target < size; target++)
        {
            var (begin, end) = (target * scale, (target + 1) * scale);
            var covered = new List<(int, float)>();
            for (var from = (int)begin; from < Math.Min(side, Math.Ceiling(end)); from++)
            {
                var share = (Math.Min(end, from + 1) - Math.Max(begin, from)) / scale;
                if (share > 1e-9)
                {
                    covered.Add((from, (float)share));
                }
            }

            weights[target] = [.. covered];
        }

        return weights;
    }
}
