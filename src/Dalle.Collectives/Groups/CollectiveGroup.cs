using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>
/// An ordered list of members that exchange arrays. Sums are made in rank order, ((rank 0 + rank 1) + rank 2) + ..., in 32 bit, whatever arrives first: every rank gets the
/// same bits, whichever processes host them.
/// </summary>
/// <remarks>
/// Thread-safe; several operations may be under way, each with a key of its own, and all ranks must call the same ones with the same lengths. Arrays are read and written in
/// place: they must stay alive, unmoved and otherwise unused until the task has ended, however it ends. After a failure the contents of a target are undefined; sources are
/// as they were.
/// </remarks>
public sealed class CollectiveGroup
{
    private long _sentBytes;
    private long _receivedBytes;

    /// <param name="transport">Carries the messages.</param>
    /// <param name="members">The same list on every rank.</param>
    /// <param name="rank">This member's place in it.</param>
    /// <param name="epoch">The membership epoch the group belongs to; its operations fail when the transport goes on to another.</param>
    /// <exception cref="ArgumentException">A number occurs twice, or the rank is of another process.</exception>
    public CollectiveGroup(IMessageTransport transport, IReadOnlyList<GroupMember> members, int rank, int epoch)
    {
        ArgumentNullException.ThrowIfNull(transport);
        ArgumentNullException.ThrowIfNull(members);
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(rank, members.Count);
        if (members.DistinctBy(member => member.Number).Count() != members.Count)
        {
            throw new ArgumentException($"Expected members with different numbers, got [{string.Join(", ", members.Select(member => member.Number))}].", nameof(members));
        }

        if (members[rank].Address.Name != transport.Self)
        {
            throw new ArgumentException($"Expected rank {rank} to be of this process, '{transport.Self}', got one of '{members[rank].Address.Name}'.", nameof(rank));
        }

        (Transport, Members, Rank, Epoch) = (transport, [.. members], rank, epoch);
    }

    /// <summary>The members by rank.</summary>
    public IReadOnlyList<GroupMember> Members { get; }

    /// <summary>How many members.</summary>
    public int Size => Members.Count;

    /// <summary>This member's rank.</summary>
    public int Rank { get; }

    /// <summary>The membership epoch.</summary>
    public int Epoch { get; }

    /// <summary>Payload bytes this rank has sent to others in operations that succeeded.</summary>
    public long SentBytes => Interlocked.Read(ref _sentBytes);

    /// <summary>Payload bytes this rank has received from others in operations that succeeded.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _receivedBytes);

    internal IMessageTransport Transport { get; }

    /// <summary>Every rank gets the sum of all ranks' arrays, in place of its own.</summary>
    public Task AllReduce(CollectiveKey key, Elements array, CancellationToken cancellationToken = default) => AllReduce(key, array, array, cancellationToken);

    /// <summary>Every rank gets the sum of all ranks' arrays.</summary>
    /// <remarks>
    /// Bytes sent and received by a rank, of an array of L bytes among N ranks: (N - 1) L where that is at most 64 KiB, else L less its own part,
    /// and N - 1 times its own part, together about 2 L (N - 1) / N.
    /// </remarks>
    /// <param name="key">Which operation.</param>
    /// <param name="source">What this rank adds; not changed unless it is the target.</param>
    /// <param name="target">As long as the source; may be the source itself, but may not overlap it otherwise.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">The two are not alike.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllReduce(CollectiveKey key, Elements source, Elements target, CancellationToken cancellationToken = default)
    {
        Expect(target, source.Count, source.Format);
        return Run(key, source.Bytes.Length, exchange => new Reduction(this, exchange, source).AllReduce(target), cancellationToken);
    }

    /// <summary>Several arrays in one exchange, each in place of its own: for many small ones, which are packed into one.</summary>
    public Task AllReduce(CollectiveKey key, IReadOnlyList<Elements> arrays, CancellationToken cancellationToken = default) =>
        PackedArrays.Run(arrays, packed => AllReduce(key, packed, cancellationToken));

    /// <summary>Every rank gets its own part of the sum of all ranks' arrays. It sends its array less its part, and receives its part N - 1 times.</summary>
    /// <param name="key">Which operation.</param>
    /// <param name="source">What this rank adds.</param>
    /// <param name="target">This rank's part of the sum; may be that part of the source.</param>
    /// <param name="counts">Elements of each rank's part; null for parts as equal as can be, the first ones longer by one where it does not divide.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">The arrays and parts do not fit together.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task ReduceScatter(CollectiveKey key, Elements source, Elements target, IReadOnlyList<int>? counts = null, CancellationToken cancellationToken = default)
    {
        var parts = Parts.Of(counts, source.Count, Size);
        Expect(target, parts.Counts[Rank], source.Format);
        return Run(key, source.Bytes.Length, exchange => new Reduction(this, exchange, source).ReduceScatter(parts, target), cancellationToken);
    }

    /// <summary>Every rank gets all ranks' parts, one after the other. It sends its part N - 1 times, and receives the whole less its part.</summary>
    /// <param name="key">Which operation.</param>
    /// <param name="source">This rank's part; may be that part of the target.</param>
    /// <param name="target">The whole.</param>
    /// <param name="counts">Elements of each rank's part; null for parts as equal as can be, the first ones longer by one where it does not divide.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">The arrays and parts do not fit together.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllGather(CollectiveKey key, Elements source, Elements target, IReadOnlyList<int>? counts = null, CancellationToken cancellationToken = default)
    {
        var parts = Parts.Of(counts, target.Count, Size);
        Expect(source, parts.Counts[Rank], target.Format);
        return Run(
            key,
            target.Bytes.Length,
            async exchange =>
            {
                var arrivals = Others.Select(rank => exchange.Receive(rank, 0, parts.Of(target, rank).Bytes)).ToArray();
                foreach (var rank in Others)
                {
                    exchange.Send(rank, 0, source.Bytes);
                }

                var own = parts.Of(target, Rank).Bytes;
                if (!own.Equals(source.Bytes))
                {
                    source.Bytes.CopyTo(own);
                }

                await Task.WhenAll(arrivals);
            },
            cancellationToken);
    }

    /// <summary>Every rank gets one rank's array. That one sends it N - 1 times.</summary>
    /// <param name="key">Which operation.</param>
    /// <param name="root">Whose array.</param>
    /// <param name="array">Read on that rank, written on the others.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task Broadcast(CollectiveKey key, int root, Elements array, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(root);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(root, Size);
        return Run(
            key,
            array.Bytes.Length,
            exchange =>
            {
                if (root != Rank)
                {
                    return exchange.Receive(root, 0, array.Bytes);
                }

                foreach (var rank in Others)
                {
                    exchange.Send(rank, 0, array.Bytes);
                }

                return Task.CompletedTask;
            },
            cancellationToken);
    }

    /// <summary>Several arrays in one exchange: for many small ones, which are packed into one.</summary>
    public Task Broadcast(CollectiveKey key, int root, IReadOnlyList<Elements> arrays, CancellationToken cancellationToken = default) =>
        PackedArrays.Run(arrays, packed => Broadcast(key, root, packed, cancellationToken));

    // Beginning with the next rank, so that not all send to the first one at once.
    internal IEnumerable<int> Others => Enumerable.Range(1, Size - 1).Select(distance => (Rank + distance) % Size);

    internal void Count(Exchange exchange)
    {
        Interlocked.Add(ref _sentBytes, exchange.SentBytes);
        Interlocked.Add(ref _receivedBytes, exchange.ReceivedBytes);
    }

    // Sums are made on the thread pool, never on the caller's own scheduler, such as a grain's turn. A small operation of a caller without one begins at once.
    private Task Run(CollectiveKey key, int bytes, Func<Exchange, Task> operation, CancellationToken cancellationToken) =>
        bytes <= Reduction.DirectBytes && TaskScheduler.Current == TaskScheduler.Default && SynchronizationContext.Current is null
            ? Exchange.Run(this, key, operation, cancellationToken)
            : Task.Run(() => Exchange.Run(this, key, operation, cancellationToken), CancellationToken.None);

    private static void Expect(Elements array, int count, ElementFormat format)
    {
        if (array.Count != count || array.Format != format)
        {
            throw new ArgumentException($"Expected {count} elements of {format}, got {array.Count} of {array.Format}.");
        }
    }
}
