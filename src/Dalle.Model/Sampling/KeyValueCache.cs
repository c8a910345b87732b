using Dalle.Model.Kernels;

namespace Dalle.Model.Sampling;

/// <summary>
/// The keys and values of one caption or one image in every layer. In a layer, head by head: keys in blocks of 16 slots, each block component by
/// component (a query meets 16 keys at once), then values slot by slot. Beside 16-bit weights they are 16 bit too: where many pictures are drawn at once,
/// reading them takes longer than reading the weights.
/// </summary>
/// <typeparam name="TElement">How a number is kept.</typeparam>
internal sealed unsafe class KeyValueCache<TElement> : IDisposable
    where TElement : unmanaged, IMoment<TElement>
{
    private readonly FloatBuffer _buffer;
    private readonly long[] _layerStart;
    private readonly int[] _blocks;
    private readonly int _headWidth;
    private readonly int _width;

    /// <param name="blocksOfLayer">Blocks of 16 slots in each layer.</param>
    /// <param name="width">Model width.</param>
    /// <param name="headWidth">Width of one head.</param>
    public KeyValueCache(IReadOnlyList<int> blocksOfLayer, int width, int headWidth)
    {
        (_blocks, _width, _headWidth) = ([.. blocksOfLayer], width, headWidth);
        _layerStart = new long[_blocks.Length];
        long length = 0;
        for (var layer = 0; layer < _blocks.Length; layer++)
        {
            _layerStart[layer] = length;
            length += 2L * _blocks[layer] * AttentionPlan.BlockSize * width;
        }

        _buffer = new((length * sizeof(TElement) + sizeof(float) - 1) / sizeof(float));
    }

    /// <summary>Bytes held.</summary>
    public long Bytes => _buffer.Length * sizeof(float);

    /// <summary>Keys of a head in a layer: <c>[block][component][16]</c>.</summary>
    public TElement* Keys(int layer, int head) => (TElement*)_buffer.Pointer + _layerStart[layer] + ((long)head * _blocks[layer] * AttentionPlan.BlockSize * _headWidth);

    /// <summary>Values of a head in a layer: <c>[slot][component]</c>.</summary>
    public TElement* Values(int layer, int head) => Keys(layer, head) + ((long)_blocks[layer] * AttentionPlan.BlockSize * _width);

    /// <summary>Writes the key and value of one head into a slot.</summary>
    public void Write(int layer, int head, int slot, float* key, float* value)
    {
        var lane = Keys(layer, head) + ((long)(slot / AttentionPlan.BlockSize) * AttentionPlan.BlockSize * _headWidth) + (slot % AttentionPlan.BlockSize);
        for (var component = 0; component < _headWidth; component++)
        {
            TElement.Write(key[component], lane + (component * AttentionPlan.BlockSize));
        }

        VectorMath.Store(value, Values(layer, head) + ((long)slot * _headWidth), _headWidth);
    }

    public void Dispose() => _buffer.Dispose();
}
