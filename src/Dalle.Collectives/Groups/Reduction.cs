namespace Dalle.Collectives.Groups;

/// <summary>
/// A sum over ranks. Small arrays are sent whole by everybody to everybody. Of larger ones every process owns a part: it receives the others' pieces of it, one of each of their
/// ranks, adds them and its own in rank order and, if all want the sum, sends it to the others. Arrays are worked through in segments, so that sending, receiving and adding
/// overlap.
/// </summary>
internal sealed class Reduction(CollectiveGroup group, Exchange exchange, IReadOnlyList<Elements> sources)
{
    /// <summary>Bytes a process may receive for everybody to send whole arrays to everybody: one way instead of two, but more bytes.</summary>
    public const int DirectBytes = 64 << 10;

    /// <summary>The longest piece of a part, in bytes.</summary>
    public const int PieceBytes = 256 << 10;

    /// <summary>Segments whose pieces are sent before the first of them is added.</summary>
    private const int Ahead = 2;

    // A peer can be so far ahead of this process as this one's pieces let it, and then sends so far ahead of itself: the places of all those pieces are ready.
    private const int Waiting = 2 * Ahead;

    private readonly int[] _foreign = [.. group.Foreign];
    private readonly ReadOnlyMemory<byte>[] _terms = new ReadOnlyMemory<byte>[group.Size];

    /// <summary>The sum of the whole arrays.</summary>
    public Task AllReduce(Elements target)
    {
        // The same way in every process: that of the one that receives most.
        if ((group.Size - group.Processes.Min(process => process.Ranks.Count)) * (long)target.Bytes.Length <= DirectBytes)
        {
            return Direct(target);
        }

        var longest = PieceBytes / target.Size * group.Processes.Count;
        var segments = new Segment[(target.Count + longest - 1) / longest];
        for (var i = 0; i < segments.Length; i++)
        {
            var (start, count) = (i * longest, Math.Min(longest, target.Count - (i * longest)));
            var parts = Parts.Even(count, group.Processes.Count);
            var sums = Split(target.Slice(start, count), parts);
            segments[i] = new Segment([.. sources.Select(source => Split(source.Slice(start, count), parts))], sums[group.Self], sums);
        }

        return Run(segments);
    }

    /// <summary>This process' part of the sum.</summary>
    public Task ReduceScatter(Parts parts, Elements target)
    {
        var split = sources.Select(source => Split(source, parts)).ToArray();
        var longest = PieceBytes / target.Size;
        var count = (parts.Counts.Max() + longest - 1) / longest;
        return Run(
        [
            .. Enumerable.Range(0, count).Select(i => new Segment(
                [.. split.Select(pieces => pieces.Select(part => Piece(part, i, longest)).ToArray())], Piece(target, i, longest), null)),
        ]);
    }

    private async Task Direct(Elements target)
    {
        var scratch = new Scratch(exchange, _foreign.Length, target.Bytes.Length, slots: 1);
        foreach (var (place, rank) in _foreign.Index())
        {
            _ = exchange.Receive(rank, 0, scratch.Place(0, place, target.Bytes.Length));
        }

        foreach (var process in group.Others)
        {
            foreach (var (rank, source) in group.Own.Zip(sources))
            {
                exchange.Send(rank, process, 0, source.Bytes);
            }
        }

        // The target may be a source: it is written only when all of it has gone to the others.
        await exchange.Settled();
        Add(scratch, 0, sources, target);
    }

    // Part 2 i of a message is a piece of segment i, part 2 i + 1 its sum.
    private async Task Run(Segment[] segments)
    {
        var length = segments.Length == 0 ? 0 : segments.Max(segment => segment.Own.Bytes.Length);
        var scratch = new Scratch(exchange, _foreign.Length, length, Waiting);
        var arrivals = new Task[segments.Length];

        void Post(int i)
        {
            if (i >= segments.Length)
            {
                return;
            }

            var segment = segments[i];
            arrivals[i] = Task.WhenAll(_foreign.Select((rank, place) => exchange.Receive(rank, 2 * i, scratch.Place(i, place, segment.Own.Bytes.Length))));
            foreach (var process in segment.Sums is null ? [] : group.Others)
            {
                _ = exchange.Receive(group.Processes[process].Ranks[0], (2 * i) + 1, segment.Sums![process].Bytes);
            }
        }

        void Send(int i)
        {
            foreach (var process in i < segments.Length ? group.Others : [])
            {
                foreach (var (rank, pieces) in group.Own.Zip(segments[i].Sources))
                {
                    exchange.Send(rank, process, 2 * i, pieces[process].Bytes);
                }
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
            Add(scratch, i, segment.Sources.Select(pieces => pieces[group.Self]), segment.Own);
            foreach (var process in segment.Sums is null ? [] : group.Others)
            {
                exchange.Send(group.Own[0], process, (2 * i) + 1, segment.Own.Bytes);
            }

            Send(i + Ahead);
            Post(i + Waiting);
        }
    }

    private void Add(Scratch scratch, int slot, IEnumerable<Elements> own, Elements target)
    {
        foreach (var (place, rank) in _foreign.Index())
        {
            _terms[rank] = scratch.Place(slot, place, target.Bytes.Length);
        }

        foreach (var (rank, term) in group.Own.Zip(own))
        {
            _terms[rank] = term.Bytes;
        }

        OrderedSum.Compute(target.Format, _terms, target.Bytes.Span);
    }

    private static Elements[] Split(Elements whole, Parts parts) => [.. Enumerable.Range(0, parts.Counts.Count).Select(owner => parts.Of(whole, owner))];

    private static Elements Piece(Elements part, int index, int longest)
    {
        var start = Math.Min(index * longest, part.Count);
        return part.Slice(start, Math.Min(longest, part.Count - start));
    }

    /// <param name="Sources">The pieces of each own rank's array, by the process that owns them.</param>
    /// <param name="Own">Where the sum of this process' own piece goes.</param>
    /// <param name="Sums">Where all sums go, by process; null if each process keeps its own.</param>
    private sealed record Segment(IReadOnlyList<Elements[]> Sources, Elements Own, Elements[]? Sums);
}
