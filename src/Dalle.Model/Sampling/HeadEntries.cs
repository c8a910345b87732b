namespace Dalle.Model.Sampling;

/// <summary>One head's keys and values in a cache, and which of them a query attends to.</summary>
/// <param name="keys">Keys, <c>[block][component][16]</c>.</param>
/// <param name="values">Values, <c>[slot][component]</c>.</param>
/// <param name="blocks">The blocks, and the slots in them.</param>
internal readonly unsafe ref struct HeadEntries(float* keys, float* values, ReadOnlySpan<SlotBlock> blocks)
{
    public float* Keys { get; } = keys;

    public float* Values { get; } = values;

    public ReadOnlySpan<SlotBlock> Blocks { get; } = blocks;
}
