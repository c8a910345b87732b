using System.Buffers.Binary;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Contracts.Training;

namespace Dalle.Workers.Shards;

/// <summary>Pieces of snapshots on their way between the hosts of a job during one epoch: to those that need them to begin, and to those that keep what only one host has.</summary>
/// <param name="grid">The hosts.</param>
/// <param name="transport">The way to them.</param>
/// <param name="epoch">The membership epoch.</param>
internal sealed class SnapshotExchange(WorkerGrid grid, IMessageTransport transport, int epoch)
{
    private const int RestoreTag = 16 << 24, KeepTag = 17 << 24;

    /// <summary>The largest piece taken: the whole state of the paper's largest model (12.09 billion parameters of at most 16 bytes) is a fifth of it.</summary>
    private const long MostBytes = 1L << 40;

    /// <summary>Room for a message's parts beside the piece's own number.</summary>
    private const int PartsOfAPiece = 1 << 8;

    /// <summary>Sends a piece that another host needs to begin.</summary>
    public Task SendToRestore(GridHost to, int step, ShardPiece piece, StateBuffer buffer, CancellationToken cancellationToken) =>
        Send(to, RestoreTag, step, piece, buffer, cancellationToken);

    /// <summary>Receives a piece that this host needs to begin.</summary>
    public Task<StateBuffer> ReceiveToRestore(GridHost from, int step, ShardPiece piece, CancellationToken cancellationToken) =>
        Receive(from, RestoreTag, step, piece, cancellationToken);

    /// <summary>
    /// Lets every host's neighbour keep what no other host that stays has: error buffers of its workers, and shards of ordinals that only it hosts. Ends when all that comes here and goes from here
    /// is there.
    /// </summary>
    /// <param name="stage">The stage.</param>
    /// <param name="step">Updates done.</param>
    /// <param name="leaving">Hosts that leave, by their place: they keep nothing for others.</param>
    /// <param name="errors">Whether workers have error buffers.</param>
    /// <param name="snapshots">Has this host's own pieces, and gets those of others.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="TransportException">A peer is lost.</exception>
    public Task KeepForEachOther(TrainingStage stage, int step, IReadOnlySet<int> leaving, bool errors, Snapshots snapshots, CancellationToken cancellationToken)
    {
        var transfers = new List<Task>();
        for (var host = 0; host < grid.Hosts.Count; host++)
        {
            if (Neighbour(host, leaving) is not { } neighbour)
            {
                continue;
            }

            var (from, to) = (grid.Hosts[host], grid.Hosts[neighbour]);
            foreach (var piece in OnlyAt(host, leaving, errors))
            {
                if (ReferenceEquals(from, grid.Own))
                {
                    transfers.Add(Send(to, KeepTag, step, piece, snapshots.Find(stage, step, piece)!, cancellationToken));
                }
                else if (ReferenceEquals(to, grid.Own))
                {
                    transfers.Add(Keep(from, piece));
                }
            }
        }

        return Task.WhenAll(transfers);

        async Task Keep(GridHost from, ShardPiece piece) => snapshots.Keep(stage, step, piece, await Receive(from, KeepTag, step, piece, cancellationToken));
    }

    /// <summary>The next host that stays; null if there is none but the host itself.</summary>
    private int? Neighbour(int host, IReadOnlySet<int> leaving) =>
        Enumerable.Range(1, grid.Hosts.Count - 1).Select(distance => (int?)((host + distance) % grid.Hosts.Count)).FirstOrDefault(other => !leaving.Contains(other!.Value));

    private IEnumerable<ShardPiece> OnlyAt(int host, IReadOnlySet<int> leaving, bool errors)
    {
        var own = grid.Hosts[host];
        var staying = grid.Hosts.Where((other, i) => i != host && !leaving.Contains(i)).ToArray();
        foreach (var ordinal in own.OwnOrdinals)
        {
            if (!staying.Any(other => other.OwnOrdinals.Contains(ordinal)))
            {
                yield return new(ordinal);
            }

            foreach (var replica in errors ? own.OwnReplicas : [])
            {
                yield return new(ordinal, replica);
            }
        }
    }

    // The first part says how long the piece is.
    private async Task Send(GridHost to, int tag, int step, ShardPiece piece, StateBuffer buffer, CancellationToken cancellationToken)
    {
        var length = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, buffer.Length);
        var (from, number) = (Number(grid.Own), Number(to));
        await transport.Send(to.Address, Key(0), length, cancellationToken);
        await Task.WhenAll(buffer.Parts.Select((part, i) => transport.Send(to.Address, Key(i + 1), part, cancellationToken)));

        MessageKey Key(int part) => new(epoch, step, tag + piece.Ordinal, PartOf(piece, part), from, number);
    }

    private async Task<StateBuffer> Receive(GridHost from, int tag, int step, ShardPiece piece, CancellationToken cancellationToken)
    {
        var length = new byte[sizeof(long)];
        var (number, to) = (Number(from), Number(grid.Own));
        await transport.Receive(from.Address, Key(0), length, cancellationToken);
        var bytes = BinaryPrimitives.ReadInt64LittleEndian(length);
        if (bytes is < 0 or > MostBytes)
        {
            throw new TransportException($"Expected a piece of at most {MostBytes} bytes from '{from.Address.Name}', got one of {bytes}.");
        }

        var buffer = new StateBuffer(bytes);
        try
        {
            await Task.WhenAll(buffer.Parts.Select((part, i) => transport.Receive(from.Address, Key(i + 1), part, cancellationToken)));
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }

        MessageKey Key(int part) => new(epoch, step, tag + piece.Ordinal, PartOf(piece, part), number, to);
    }

    private static int PartOf(ShardPiece piece, int part) => (((piece.Replica ?? -1) + 1) * PartsOfAPiece) + part;

    private ushort Number(GridHost host) => (ushort)grid.Hosts.Index().First(pair => ReferenceEquals(pair.Item, host)).Index;
}
