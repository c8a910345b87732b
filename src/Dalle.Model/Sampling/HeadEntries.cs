using Dalle.Model.Kernels;

namespace Dalle.Model.Sampling;

/// <summary>One head's keys and values in a cache, and which of them a query attends to.</summary>
/// <param name="keys">Keys, <c>[block][component][16]</c>.</param>
/// <param name="values">Values, <c>[slot][component]</c>.</param>
/// <param name="blocks">The blocks, and the slots in them.</param>
internal readonly unsafe ref struct HeadEntries<TElement>(TElement* keys, TElement* values, ReadOnlySpan<SlotBlock> blocks)
    where TElement : unmanaged, IMoment<TElement>
{
    public TElement* Keys { get; } = keys;

    public TElement* Values { get; } = values;

    public ReadOnlySpan<SlotBlock> Blocks { get; } = blocks;
}
