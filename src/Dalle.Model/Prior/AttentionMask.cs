using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>The paper's attention masks (figure 11), as a rule and as a tensor, for any grid.</summary>
/// <remarks>
/// Positions count through the whole sequence: text first, then the image in raster order. The convolutional mask is read from the figure's caption,
/// "with wraparound behavior (similar to the row attention)": the window is a set of distances in raster order, so a window that leaves the grid at one
/// side continues in the neighbouring row, exactly as row attention does. Where the grid is smaller than the kernel, the window reaches half the grid.
/// </remarks>
public static class AttentionMask
{
    /// <summary>Whether a query position attends to a key position.</summary>
    public static bool Allows(TransformerConfig config, AttentionKind kind, int query, int key)
    {
        if (key > query)
        {
            return false;
        }

        if (key < config.TextLength)
        {
            return true;
        }

        var distance = query - key;
        return kind switch
        {
            AttentionKind.Row => distance <= config.GridSize,
            AttentionKind.Column => distance % config.GridSize == 0,
            AttentionKind.Convolution => InWindow(config, distance),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Expected row, column or convolution."),
        };
    }

    /// <summary>The mask of a layer: boolean <c>[S, S]</c>, true where query (first) attends to key (second). The caller disposes it.</summary>
    public static Tensor Create(TransformerConfig config, AttentionKind kind)
    {
        var length = config.SequenceLength;
        var mask = new bool[length * length];
        for (var query = 0; query < length; query++)
        {
            for (var key = 0; key <= query; key++)
            {
                mask[(query * length) + key] = Allows(config, kind, query, key);
            }
        }

        return tensor(mask, [length, length]);
    }

    private static bool InWindow(TransformerConfig config, int distance)
    {
        var reach = config.ConvolutionReach;
        return Enumerable.Range(0, reach + 1).Any(up => Math.Abs(distance - (up * config.GridSize)) <= reach);
    }
}
