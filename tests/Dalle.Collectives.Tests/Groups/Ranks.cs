using Dalle.Collectives.Groups;
using Dalle.Collectives.Tests.Transport;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>A group whose ranks are spread over peers in this process, each as if in one of its own.</summary>
internal sealed class Ranks : IAsyncDisposable
{
    private readonly CollectiveGroup[] _groups;

    private Ranks(Peers peers, CollectiveGroup[] groups) => (Peers, _groups) = (peers, groups);

    /// <summary>How many ranks.</summary>
    public int Size => _groups[0].Size;

    /// <summary>Each process' part in the group.</summary>
    public IReadOnlyList<CollectiveGroup> Groups => _groups;

    public Peers Peers { get; }

    /// <summary>The part of one process.</summary>
    public CollectiveGroup this[int process] => _groups[process];

    /// <param name="layout">For each rank, in order, the peer that hosts it, as a digit.</param>
    /// <param name="shuffle">Seed of the order in which messages are sent; null for the order they come in.</param>
    public static Ranks Of(string layout, int? shuffle = null)
    {
        var peers = Peers.Of(layout.Max() - '0' + 1, options => Peers.Options(options.Name, chunkBytes: 100_000));
        var members = layout.Select((peer, rank) => new GroupMember((ushort)(10 + rank), peers.Addresses[peer - '0'])).ToList();
        return new(peers, [.. peers.Jobs.Select((job, process) => new CollectiveGroup(shuffle is { } seed ? new ShuffledTransport(job, seed + process) : job, members, epoch: 1))]);
    }

    /// <summary>Runs an operation in every process at once.</summary>
    public Task Run(Func<CollectiveGroup, Task> operation) => Task.WhenAll(_groups.Select(group => Task.Run(() => operation(group))));

    public ValueTask DisposeAsync() => Peers.DisposeAsync();
}
