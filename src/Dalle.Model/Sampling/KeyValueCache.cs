namespace Dalle.Model.Sampling;

/// <summary>
/// The keys and values of one caption or one image in every layer. In a layer, head by head: keys in blocks of 16 slots, each block component by
/// component (a query meets 16 keys at once), then values slot by slot.
/// </summary>
internal sealed unsafe class KeyValueCache : IDisposable
{
    private readonly FloatBuffer _floats;
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
        long floats = 0;
        for (var layer = 0; layer < _blocks.Length; layer++)
        {
            _layerStart[layer] = floats;
            floats += 2L * _blocks[layer] * AttentionPlan.BlockSize * width;
        }

        _floats = new(floats);
    }

    /// <summary>Bytes held.</summary>
    public long Bytes => _floats.Length * sizeof(float);

    /// <summary>Keys of a head in a layer: <c>[block][component][16]</c>.</summary>
    public float* Keys(int layer, int head) => _floats.Pointer + _layerStart[layer] + ((long)head * _blocks[layer] * AttentionPlan.BlockSize * _headWidth);

    /// <summary>Values of a head in a layer: <c>[slot][component]</c>.</summary>
    public float* Values(int layer, int head) => Keys(layer, head) + ((long)_blocks[layer] * AttentionPlan.BlockSize * _width);

    /// <summary>Writes the key and value of one head into a slot.</summary>
    public void Write(int layer, int head, int slot, float* key, float* value)
    {
        var lane = Keys(layer, head) + ((long)(slot / AttentionPlan.BlockSize) * AttentionPlan.BlockSize * _headWidth) + (slot % AttentionPlan.BlockSize);
        for (var component = 0; component < _headWidth; component++)
        {
            lane[component * AttentionPlan.BlockSize] = key[component];
        }

        Buffer.MemoryCopy(value, Values(layer, head) + ((long)slot * _headWidth), _headWidth * sizeof(float), _headWidth * sizeof(float));
    }

    public void Dispose() => _floats.Dispose();
}
