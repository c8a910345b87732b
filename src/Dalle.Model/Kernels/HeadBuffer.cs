using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dalle.Model.Kernels;

/// <summary>Scratch memory for one head of one sequence, in slots (<see cref="AttentionTiles"/>): gaps hold zeros.</summary>
internal unsafe ref struct HeadBuffer
{
    private readonly int[] _order;
    private readonly int _headWidth;
    private readonly float* _memory;
    private float* _next;

    /// <param name="order">The sequence position in each slot; -1 in a gap.</param>
    /// <param name="headWidth">Width of a head, a multiple of <see cref="Element.Lanes"/>.</param>
    /// <param name="arrays">Arrays of all slots that will be taken.</param>
    /// <param name="extra">Further floats that will be taken.</param>
    public HeadBuffer(int[] order, int headWidth, int arrays, int extra)
    {
        (_order, _headWidth) = (order, headWidth);
        _memory = _next = (float*)NativeMemory.AlignedAlloc((nuint)((arrays * order.Length * headWidth) + extra) * sizeof(float), 64);
    }

    /// <summary>Takes uninitialised floats.</summary>
    public float* Take(int count)
    {
        var taken = _next;
        _next += count;
        return taken;
    }

    /// <summary>Takes an array of all slots, <c>[slot][component]</c>, filled with zeros.</summary>
    public float* Zeros()
    {
        var taken = Take(_order.Length * _headWidth);
        NativeMemory.Clear(taken, (nuint)(_order.Length * _headWidth) * sizeof(float));
        return taken;
    }

    /// <summary>Takes an array of all slots and fills it from a sequence's rows: <c>[slot][component]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float* Gather<TLanes, T>(T* source, int stride, float factor)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var taken = Zeros();
        var scale = TLanes.Create(factor);
        for (var slot = 0; slot < _order.Length; slot++)
        {
            if (_order[slot] is >= 0 and var position)
            {
                for (var h = 0; h < _headWidth; h += TLanes.Count)
                {
                    (T.Load<TLanes>(source + ((long)position * stride) + h) * scale).Store(taken + (slot * _headWidth) + h);
                }
            }
        }

        return taken;
    }

    /// <summary>Takes an array and fills it with the tiles of an array of all slots, each transposed: <c>[tile][component][slot]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float* Transpose(float* source)
    {
        var taken = Take(_order.Length * _headWidth);
        for (var slot = 0; slot < _order.Length; slot++)
        {
            var target = taken + (slot / AttentionTiles.Side * AttentionTiles.Side * _headWidth) + (slot % AttentionTiles.Side);
            for (var h = 0; h < _headWidth; h++)
            {
                target[h * AttentionTiles.Side] = source[(slot * _headWidth) + h];
            }
        }

        return taken;
    }

    /// <summary>Writes an array of all slots to a sequence's rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Scatter<TLanes, T>(float* source, float factor, T* target, int stride)
        where TLanes : unmanaged, ILanes<TLanes>
        where T : unmanaged, IElement<T>
    {
        var scale = TLanes.Create(factor);
        for (var slot = 0; slot < _order.Length; slot++)
        {
            if (_order[slot] is >= 0 and var position)
            {
                for (var h = 0; h < _headWidth; h += TLanes.Count)
                {
                    T.Store(TLanes.Load(source + (slot * _headWidth) + h) * scale, target + ((long)position * stride) + h);
                }
            }
        }
    }

    public readonly void Dispose() => NativeMemory.AlignedFree(_memory);
}
