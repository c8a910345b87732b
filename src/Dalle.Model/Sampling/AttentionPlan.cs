using Dalle.Model.Prior;

namespace Dalle.Model.Sampling;

/// <summary>Sixteen slots of a key-value cache, and which of them a query attends to.</summary>
/// <param name="Block">Number of the block.</param>
/// <param name="Slots">Bit i is set when slot i of the block is attended to.</param>
internal readonly record struct SlotBlock(int Block, ushort Slots);

/// <summary>
/// Where keys and values are kept while decoding, and which of them each position attends to. An image token's entry is kept only as long as a
/// later token of the layer's mask can attend to it: rows and convolutions reuse the slots of tokens gone out of reach, a column layer needs all
/// tokens but reads one column, whose slots stand together.
/// </summary>
/// <remarks>Immutable; shared by all sequences. What is attended to comes from <see cref="AttentionMask"/> alone.</remarks>
internal sealed class AttentionPlan
{
    /// <summary>Slots of one block: the lanes of a vector.</summary>
    public const int BlockSize = 16;

    private readonly TransformerConfig _config;
    private readonly SlotBlock[][] _text;
    private readonly Dictionary<AttentionKind, SlotBlock[][]> _image;

    public AttentionPlan(TransformerConfig config)
    {
        _config = config;
        TextBlocks = Blocks(config.TextLength);
        _text = [.. Enumerable.Range(0, config.TextLength).Select(position => Group(Enumerable.Range(0, position + 1)))];
        _image = Enumerable.Range(0, config.Layers).Select(config.Attention).Distinct().ToDictionary(
            kind => kind,
            kind => Enumerable.Range(0, config.ImageLength).Select(position => Group(ImageSlots(kind, position))).ToArray());
    }

    /// <summary>Blocks that a caption takes, the same in every layer.</summary>
    public int TextBlocks { get; }

    /// <summary>Blocks that an image takes in a layer of a kind.</summary>
    public int ImageBlocks(AttentionKind kind) => kind == AttentionKind.Column ? _config.GridSize * Blocks(_config.GridSize) : Blocks(Reach(kind) + 1);

    /// <summary>The slot of an image position in a layer of a kind.</summary>
    public int ImageSlot(AttentionKind kind, int position) => kind == AttentionKind.Column
        ? (position % _config.GridSize * Blocks(_config.GridSize) * BlockSize) + (position / _config.GridSize)
        : position % (Reach(kind) + 1);

    /// <summary>The slots that an image position attends to in a layer of a kind, in raster order, its own last.</summary>
    public IEnumerable<int> ImageSlots(AttentionKind kind, int position) => Attended(kind, position).Select(key => ImageSlot(kind, key));

    /// <summary>The text slots that a text position attends to; those of the last are what every image position attends to.</summary>
    public ReadOnlySpan<SlotBlock> Text(int position) => _text[position];

    /// <summary>The image slots that an image position attends to, itself included.</summary>
    public ReadOnlySpan<SlotBlock> Image(AttentionKind kind, int position) => _image[kind][position];

    private static int Blocks(int slots) => (slots + BlockSize - 1) / BlockSize;

    /// <summary>How far back, in raster order, any image position attends.</summary>
    private int Reach(AttentionKind kind) => Math.Min(_config.ImageLength - 1, kind switch
    {
        AttentionKind.Row => _config.GridSize,
        AttentionKind.Convolution => (_config.ConvolutionReach * _config.GridSize) + _config.ConvolutionReach,
        _ => _config.ImageLength - 1,
    });

    private IEnumerable<int> Attended(AttentionKind kind, int position)
    {
        var start = _config.TextLength;
        return Enumerable.Range(0, position + 1).Where(key => AttentionMask.Allows(_config, kind, start + position, start + key));
    }

    private static SlotBlock[] Group(IEnumerable<int> slots) =>
    [
        .. slots.GroupBy(slot => slot / BlockSize).OrderBy(block => block.Key)
            .Select(block => new SlotBlock(block.Key, (ushort)block.Aggregate(0, (bits, slot) => bits | (1 << (slot % BlockSize))))),
    ];
}
