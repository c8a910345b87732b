using Dalle.Collectives.Groups;
using Dalle.Collectives.Tests.Transport;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Groups;

/// <summary>A group whose ranks are spread over peers in this process.</summary>
internal sealed class Ranks : IAsyncDisposable
{
    private readonly Peers _peers;
    private readonly List<CollectiveGroup> _groups = [];

    private Ranks(Peers peers) => _peers = peers;

    public int Size => _groups.Count;

    public CollectiveGroup this[int rank] => _groups[rank];

    public Peers Peers => _peers;

    /// <param name="layout">For each rank, in order, the peer that hosts it, as a digit.</param>
    /// <param name="shuffle">Seed of the order in which messages are sent; null for the order they come in.</param>
    public static Ranks Of(string layout, int? shuffle = null)
    {
        var peers = Peers.Of(layout.Max() - '0' + 1, options => Peers.Options(options.Name, chunkBytes: 100_000));
        var ranks = new Ranks(peers);
        var members = layout.Select((peer, rank) => new GroupMember((ushort)(10 + rank), peers.Addresses[peer - '0'])).ToList();
        for (var rank = 0; rank < layout.Length; rank++)
        {
            IMessageTransport transport = peers.Jobs[layout[rank] - '0'];
            ranks._groups.Add(new CollectiveGroup(shuffle is { } seed ? new ShuffledTransport(transport, seed + rank) : transport, members, rank, epoch: 1));
        }

        return ranks;
    }

    /// <summary>Runs an operation on every rank at once.</summary>
    public Task Run(Func<CollectiveGroup, Task> operation) => Task.WhenAll(_groups.Select(group => Task.Run(() => operation(group))));

    public ValueTask DisposeAsync() => _peers.DisposeAsync();
}
