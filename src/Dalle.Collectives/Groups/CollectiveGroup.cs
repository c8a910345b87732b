using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>
/// A process' part in an ordered list of members that exchange arrays. The process hosts one or more of them, its own ranks. Sums are made in rank order,
/// ((rank 0 + rank 1) + rank 2) + ..., in 32 bit, whatever arrives first: they come out to the same bits, whichever processes host the ranks.
/// </summary>
/// <remarks>
/// Thread-safe; several operations may be under way, each with a key of its own, and all processes must call the same ones with the same lengths. Arrays are read and written in
/// place: they must stay alive, unmoved and otherwise unused until the task has ended, however it ends. After a failure the contents of a target are undefined; sources are
/// as they were. A group of one process sends nothing: what it does is done, on the caller's thread, when the call returns, and knows of no epoch.
/// </remarks>
public sealed class CollectiveGroup
{
    private long _sentBytes;
    private long _receivedBytes;

    /// <param name="transport">Carries the messages.</param>
    /// <param name="members">The same list in every process.</param>
    /// <param name="epoch">The membership epoch the group belongs to; its operations fail when the transport goes on to another.</param>
    /// <exception cref="ArgumentException">A number occurs twice, or no member is of this process.</exception>
    public CollectiveGroup(IMessageTransport transport, IReadOnlyList<GroupMember> members, int epoch)
    {
        ArgumentNullException.ThrowIfNull(transport);
        ArgumentNullException.ThrowIfNull(members);
        if (members.DistinctBy(member => member.Number).Count() != members.Count)
        {
            throw new ArgumentException($"Expected members with different numbers, got [{string.Join(", ", members.Select(member => member.Number))}].", nameof(members));
        }

        var processes = GroupProcess.Of(members);
        (Transport, Members, Processes, Epoch) = (transport, [.. members], processes, epoch);
        Self = Array.FindIndex(processes, process => process.Address.Name == transport.Self);
        if (Self < 0)
        {
            throw new ArgumentException(
                $"Expected a member of this process, '{transport.Self}', got only those of [{string.Join(", ", processes.Select(process => process.Address.Name))}].", nameof(members));
        }
    }

    /// <summary>The members by rank.</summary>
    public IReadOnlyList<GroupMember> Members { get; }

    /// <summary>How many members.</summary>
    public int Size => Members.Count;

    /// <summary>The ranks that this process hosts, ascending: at least one.</summary>
    public IReadOnlyList<int> Own => Processes[Self].Ranks;

    /// <summary>The membership epoch.</summary>
    public int Epoch { get; }

    /// <summary>Payload bytes this process has sent to others in operations that succeeded.</summary>
    public long SentBytes => Interlocked.Read(ref _sentBytes);

    /// <summary>Payload bytes this process has received from others in operations that succeeded.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _receivedBytes);

    internal IMessageTransport Transport { get; }

    /// <summary>By their first ranks.</summary>
    internal IReadOnlyList<GroupProcess> Processes { get; }

    /// <summary>This process' place among them.</summary>
    internal int Self { get; }

    /// <summary>Places of the other processes, beginning with the next one, so that not all send to the first one at once.</summary>
    internal IEnumerable<int> Others => Enumerable.Range(1, Processes.Count - 1).Select(distance => (Self + distance) % Processes.Count);

    /// <summary>The ranks of other processes, in the order of <see cref="Others"/>.</summary>
    internal IEnumerable<int> Foreign => Others.SelectMany(process => Processes[process].Ranks);

    /// <summary>Every rank gets the sum of all ranks' arrays, in place of its own: for a process with one rank.</summary>
    /// <exception cref="ArgumentException">This process has several ranks.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllReduce(CollectiveKey key, Elements array, CancellationToken cancellationToken = default) => AllReduce(key, [array], array, cancellationToken);

    /// <summary>Every process gets the sum of all ranks' arrays.</summary>
    /// <remarks>
    /// Bytes, of arrays of L bytes in a group of N ranks in P processes: a process with n ranks sends n (P - 1) L and receives (N - n) L where the latter is at most 64 KiB for each
    /// process. Else every process owns an equal part p = L / P, to which it receives the pieces of the others' ranks, and which it sends summed: it sends n (L - p) + (P - 1) p and
    /// receives (N - n) p + L - p. With one rank a process both are 2 L (N - 1) / N.
    /// </remarks>
    /// <param name="key">Which operation.</param>
    /// <param name="sources">What each own rank adds, in rank order; not changed, but for one that is the target.</param>
    /// <param name="target">As long as each source; may be one of them, but may not overlap them otherwise.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">There is not one source for each own rank, or they are not like the target.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllReduce(CollectiveKey key, IReadOnlyList<Elements> sources, Elements target, CancellationToken cancellationToken = default)
    {
        Expect(sources, target.Count, target.Format);
        return Run(key, target.Bytes.Length, exchange => new Reduction(this, exchange, sources).AllReduce(target), cancellationToken);
    }

    /// <summary>Several arrays in one exchange, each in place of its own: for many small ones, which are packed into one, and a process with one rank.</summary>
    /// <exception cref="ArgumentException">This process has several ranks, or the arrays are not of one format.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllReduceGrouped(CollectiveKey key, IReadOnlyList<Elements> arrays, CancellationToken cancellationToken = default) =>
        PackedArrays.Run(arrays, packed => AllReduce(key, packed, cancellationToken));

    /// <summary>Every process gets its own ranks' parts of the sum of all ranks' arrays. The ranks of every process must follow each other.</summary>
    /// <remarks>
    /// A process with n of N ranks, whose parts are p of L bytes together, sends n (L - p) and receives (N - n) p.
    /// </remarks>
    /// <param name="key">Which operation.</param>
    /// <param name="sources">What each own rank adds, in rank order.</param>
    /// <param name="target">The own ranks' parts of the sum, one after the other; may be those parts of a source.</param>
    /// <param name="counts">Elements of each rank's part; null for parts as equal as can be, the first ones longer by one where it does not divide.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">The arrays and parts do not fit together, or the ranks of a process do not follow each other.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task ReduceScatter(
        CollectiveKey key, IReadOnlyList<Elements> sources, Elements target, IReadOnlyList<int>? counts = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(sources);
        var whole = sources.Count > 0 ? sources[0].Count : 0;
        Expect(sources, whole, target.Format);
        var parts = PartsOfProcesses(counts, whole);
        Expect(target, parts.Counts[Self], target.Format);
        return Run(key, sources[0].Bytes.Length, exchange => new Reduction(this, exchange, sources).ReduceScatter(parts, target), cancellationToken);
    }

    /// <summary>Every process gets all ranks' parts, one after the other. The ranks of every process must follow each other.</summary>
    /// <remarks>A process whose ranks' parts are p of L bytes together sends (P - 1) p to P - 1 others, and receives L - p.</remarks>
    /// <param name="key">Which operation.</param>
    /// <param name="source">The own ranks' parts, one after the other; may be those parts of the target.</param>
    /// <param name="target">The whole.</param>
    /// <param name="counts">Elements of each rank's part; null for parts as equal as can be, the first ones longer by one where it does not divide.</param>
    /// <param name="cancellationToken">Gives the operation up.</param>
    /// <exception cref="ArgumentException">The arrays and parts do not fit together, or the ranks of a process do not follow each other.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task AllGather(CollectiveKey key, Elements source, Elements target, IReadOnlyList<int>? counts = null, CancellationToken cancellationToken = default)
    {
        var parts = PartsOfProcesses(counts, target.Count);
        Expect(source, parts.Counts[Self], target.Format);
        return Run(
            key,
            target.Bytes.Length,
            async exchange =>
            {
                foreach (var process in Others)
                {
                    _ = exchange.Receive(Processes[process].Ranks[0], 0, parts.Of(target, process).Bytes);
                }

                foreach (var process in Others)
                {
                    exchange.Send(Own[0], process, 0, source.Bytes);
                }

                var own = parts.Of(target, Self);
                if (!own.IsSameMemory(source))
                {
                    source.Bytes.CopyTo(own.Bytes);
                }

                await exchange.Settled();
            },
            cancellationToken);
    }

    /// <summary>Every process gets one rank's array. The one that hosts it sends it to each other.</summary>
    /// <param name="key">Which operation.</param>
    /// <param name="root">Whose array.</param>
    /// <param name="array">Read in the process that hosts the rank, written in the others.</param>
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
                if (!Own.Contains(root))
                {
                    return exchange.Receive(root, 0, array.Bytes);
                }

                foreach (var process in Others)
                {
                    exchange.Send(root, process, 0, array.Bytes);
                }

                return Task.CompletedTask;
            },
            cancellationToken);
    }

    /// <summary>Several arrays in one exchange: for many small ones, which are packed into one.</summary>
    /// <exception cref="ArgumentException">The arrays are not of one format.</exception>
    /// <exception cref="TransportException">A peer is lost, or the epoch has ended.</exception>
    public Task BroadcastGrouped(CollectiveKey key, int root, IReadOnlyList<Elements> arrays, CancellationToken cancellationToken = default) =>
        PackedArrays.Run(arrays, packed => Broadcast(key, root, packed, cancellationToken));

    internal void Count(Exchange exchange)
    {
        Interlocked.Add(ref _sentBytes, exchange.SentBytes);
        Interlocked.Add(ref _receivedBytes, exchange.ReceivedBytes);
    }

    // Sums that wait for others are made on the thread pool, never on the caller's own scheduler, such as a grain's turn. A small operation of a caller without one begins at once.
    private Task Run(CollectiveKey key, int bytes, Func<Exchange, Task> operation, CancellationToken cancellationToken) =>
        Processes.Count == 1 || (bytes <= Reduction.DirectBytes && TaskScheduler.Current == TaskScheduler.Default && SynchronizationContext.Current is null)
            ? Exchange.Run(this, key, operation, cancellationToken)
            : Task.Run(() => Exchange.Run(this, key, operation, cancellationToken), CancellationToken.None);

    private Parts PartsOfProcesses(IReadOnlyList<int>? counts, int whole)
    {
        var parts = Parts.Of(counts, whole, Size);
        return Processes.FirstOrDefault(process => !process.IsConsecutive) is { } scattered
            ? throw new ArgumentException($"Expected ranks of '{scattered.Address.Name}' that follow each other, got [{string.Join(", ", scattered.Ranks)}].")
            : new Parts([.. Processes.Select(process => process.Ranks.Sum(rank => parts.Counts[rank]))]);
    }

    private void Expect(IReadOnlyList<Elements> sources, int count, ElementFormat format)
    {
        ArgumentNullException.ThrowIfNull(sources);
        if (sources.Count != Own.Count)
        {
            throw new ArgumentException($"Expected {Own.Count} arrays, one for each of the ranks [{string.Join(", ", Own)}], got {sources.Count}.", nameof(sources));
        }

        foreach (var source in sources)
        {
            Expect(source, count, format);
        }
    }

    private static void Expect(Elements array, int count, ElementFormat format)
    {
        if (array.Count != count || array.Format != format)
        {
            throw new ArgumentException($"Expected {count} elements of {format}, got {array.Count} of {array.Format}.");
        }
    }
}
