namespace Dalle.Collectives.Groups;

/// <summary>
/// A sum over ranks. Small arrays are sent whole by everybody to everybody. Of larger ones every rank owns a part: it receives the others' pieces of it, adds them in rank
/// order and, if all want the sum, sends it to the others. Arrays are worked through in segments, so that sending, receiving and adding overlap.
/// </summary>
internal sealed class Reduction(CollectiveGroup group, Exchange exchange, Elements source)
{
    /// <summary>Bytes a rank may receive for everybody to send whole arrays to everybody: one way instead of two, but more bytes.</summary>
    public const int DirectBytes = 64 << 10;

    /// <summary>The longest piece of a part, in bytes.</summary>
    public const int PieceBytes = 256 << 10;

    /// <summary>Segments whose pieces are sent before the first of them is added.</summary>
    private const int Ahead = 2;

    // A peer can be so far ahead of this rank as this rank's pieces let it, and then sends so far ahead of itself: the places of all those pieces are ready.
    private const int Waiting = 2 * Ahead;

    private readonly ReadOnlyMemory<byte>[] _terms = new ReadOnlyMemory<byte>[group.Size];

    /// <summary>The sum of the whole arrays.</summary>
    public Task AllReduce(Elements target)
    {
        if ((long)source.Bytes.Length * (group.Size - 1) <= DirectBytes)
        {
            return Direct(target);
        }

        var longest = PieceBytes / source.Size * group.Size;
        var segments = new Segment[(source.Count + longest - 1) / longest];
        for (var i = 0; i < segments.Length; i++)
        {
            var (start, count) = (i * longest, Math.Min(longest, source.Count - (i * longest)));
            var parts = Parts.Even(count, group.Size);
            var targets = Split(target.Slice(start, count), parts);
            segments[i] = new Segment(Split(source.Slice(start, count), parts), targets[group.Rank], targets);
        }

        return Run(segments);
    }

    /// <summary>This rank's part of the sum.</summary>
    public Task ReduceScatter(Parts parts, Elements target)
    {
        var pieces = Split(source, parts);
        var longest = PieceBytes / source.Size;
        var count = (parts.Counts.Max() + longest - 1) / longest;
        return Run([.. Enumerable.Range(0, count).Select(i => new Segment([.. pieces.Select(part => Piece(part, i, longest))], Piece(target, i, longest), null))]);
    }

    private async Task Direct(Elements target)
    {
        var scratch = new Scratch(exchange, group.Size - 1, source.Bytes.Length, slots: 1);
        var arrivals = new List<Task>(group.Size);
        foreach (var rank in group.Others)
        {
            var place = scratch.Place(0, arrivals.Count, source.Bytes.Length);
            _terms[rank] = place;
            arrivals.Add(exchange.Receive(rank, 0, place));
        }

        foreach (var rank in group.Others)
        {
            exchange.Send(rank, 0, source.Bytes);
        }

        // The target may be the source: it is written only when all of it has gone to the others.
        await exchange.Settled();
        Add(source, target);
    }

    // Part 2 i of a message is a piece of segment i, part 2 i + 1 its sum.
    private async Task Run(Segment[] segments)
    {
        var length = segments.Length == 0 ? 0 : segments.Max(segment => segment.Own.Bytes.Length);
        var scratch = new Scratch(exchange, group.Size - 1, length, Waiting);
        var arrivals = new Task[segments.Length];

        void Post(int i)
        {
            if (i >= segments.Length)
            {
                return;
            }

            var segment = segments[i];
            arrivals[i] = Task.WhenAll(group.Others.Select((rank, place) => exchange.Receive(rank, 2 * i, scratch.Place(i, place, segment.Own.Bytes.Length))));
            foreach (var rank in segment.Sums is null ? [] : group.Others)
            {
                _ = exchange.Receive(rank, (2 * i) + 1, segment.Sums![rank].Bytes);
            }
        }

        void Send(int i)
        {
            foreach (var rank in i < segments.Length ? group.Others : [])
            {
                exchange.Send(rank, 2 * i, segments[i].Source[rank].Bytes);
            }
        }

        for (var i = 0; i < Waiting; i++)
        {
            Post(i);
        }

        for (var i = 0; i < Ahead; i++)
        {
            Send(i);
        }

        for (var i = 0; i < segments.Length; i++)
        {
            await arrivals[i];
            var segment = segments[i];
            foreach (var (place, rank) in group.Others.Index())
            {
                _terms[rank] = scratch.Place(i, place, segment.Own.Bytes.Length);
            }

            Add(segment.Source[group.Rank], segment.Own);
            foreach (var rank in segment.Sums is null ? [] : group.Others)
            {
                exchange.Send(rank, (2 * i) + 1, segment.Own.Bytes);
            }

            Send(i + Ahead);
            Post(i + Waiting);
        }
    }

    private void Add(Elements own, Elements target)
    {
        _terms[group.Rank] = own.Bytes;
        OrderedSum.Compute(source.Format, _terms, target.Bytes.Span);
    }

    private static Elements[] Split(Elements whole, Parts parts) => [.. Enumerable.Range(0, parts.Counts.Count).Select(rank => parts.Of(whole, rank))];

    private static Elements Piece(Elements part, int index, int longest)
    {
        var start = Math.Min(index * longest, part.Count);
        return part.Slice(start, Math.Min(longest, part.Count - start));
    }

    /// <param name="Source">The pieces of this rank's array, by the rank that owns them.</param>
    /// <param name="Own">Where the sum of this rank's own piece goes.</param>
    /// <param name="Sums">Where all sums go, by rank; null if each rank keeps its own.</param>
    private sealed record Segment(Elements[] Source, Elements Own, Elements[]? Sums);
}
