using Dalle.Model.Prior;

namespace Dalle.Model.Kernels;

/// <summary>
/// A mask cut into square tiles, so that kernels compute the tiles that have anything in them and no others. Positions are first brought into an
/// order that packs a layer's mask into few tiles: text, a gap up to the next tile, then the image by rows, or by columns for column attention.
/// </summary>
internal sealed class AttentionTiles
{
    /// <summary>Height and width of a tile.</summary>
    public const int Side = Element.Lanes;

    private const ushort Full = 0xFFFF;

    public AttentionTiles(TransformerConfig config, AttentionKind kind)
        : this([.. Padded(Enumerable.Range(0, config.TextLength)), .. Padded(Image(config, kind))], (query, key) => AttentionMask.Allows(config, kind, query, key))
    {
    }

    private AttentionTiles(int[] order, Func<int, int, bool> allows)
    {
        Order = order;
        Count = Order.Length / Side;
        var rows = new KeyTile[Count][];
        for (var query = 0; query < Count; query++)
        {
            rows[query] = [.. Enumerable.Range(0, Count).Select(key => Tile(allows, query, key)).Where(tile => tile.Slots is null || tile.Slots.Any(slots => slots != 0))];
        }

        Rows = rows;
        Widest = rows.Max(row => row.Length) * Side;
    }

    /// <summary>Of sequences in which every position attends to every other.</summary>
    public static AttentionTiles AllToAll(int length) => new([.. Padded(Enumerable.Range(0, length))], (_, _) => true);

    /// <summary>The sequence position in each slot; -1 in a gap.</summary>
    public int[] Order { get; }

    /// <summary>Tiles along one side of the mask.</summary>
    public int Count { get; }

    /// <summary>For each tile of queries, the tiles of keys that any of them attends to.</summary>
    public IReadOnlyList<KeyTile[]> Rows { get; }

    /// <summary>Keys that a tile of queries is computed against, at most.</summary>
    public int Widest { get; }

    private KeyTile Tile(Func<int, int, bool> allows, int queryTile, int keyTile)
    {
        var slots = new ushort[Side];
        for (var i = 0; i < Side; i++)
        {
            var (querySlot, query) = ((queryTile * Side) + i, Order[(queryTile * Side) + i]);
            for (var j = 0; j < Side; j++)
            {
                var (keySlot, key) = ((keyTile * Side) + j, Order[(keyTile * Side) + j]);

                // A gap attends to itself, so that its weights are numbers; nothing attends to a gap.
                if (query < 0 || key < 0 ? querySlot == keySlot : allows(query, key))
                {
                    slots[i] |= (ushort)(1 << j);
                }
            }
        }

        return new(keyTile, slots.All(s => s == Full) ? null : slots);
    }

    private static IEnumerable<int> Image(TransformerConfig config, AttentionKind kind)
    {
        var grid = config.GridSize;
        return Enumerable.Range(0, config.ImageLength)
            .Select(i => config.TextLength + (kind == AttentionKind.Column ? (i % grid * grid) + (i / grid) : i));
    }

    private static IEnumerable<int> Padded(IEnumerable<int> positions) =>
        positions.Chunk(Side).SelectMany(chunk => chunk.Concat(Enumerable.Repeat(-1, Side - chunk.Length)));
}

/// <summary>A tile of a mask.</summary>
/// <param name="Key">Number of the tile of keys.</param>
/// <param name="Slots">For each query of the tile, a bit for each key it attends to; null if all attend to all.</param>
internal readonly record struct KeyTile(int Key, ushort[]? Slots);
