using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Tests.Transport;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;

namespace Dalle.Collectives.Tests.Updates;

/// <summary>The hosts of a job, each on a thread of its own in this process, with sockets between them.</summary>
internal sealed class TestHosts : IAsyncDisposable
{
    private readonly Peers _peers;

    private TestHosts(Peers peers, IReadOnlyList<TestHost> hosts) => (_peers, Hosts) = (peers, hosts);

    public IReadOnlyList<TestHost> Hosts { get; }

    /// <summary>Hosts by their workers: first replica, replicas, first ordinal, ordinals of each.</summary>
    public static TestHosts Of(int replicas, int shards, int rank, params (int FirstReplica, int Replicas, int FirstOrdinal, int Ordinals)[] places) =>
        Of(replicas, shards, new CompressionSettings(rank), places);

    /// <inheritdoc cref="Of(int, int, int, ValueTuple{int, int, int, int}[])"/>
    public static TestHosts Of(int replicas, int shards, CompressionSettings compression, params (int FirstReplica, int Replicas, int FirstOrdinal, int Ordinals)[] places)
    {
        var peers = Peers.Of(places.Length);
        var hosts = places.Select((place, i) => new GridHost(peers.Addresses[i], place.FirstReplica, place.Replicas, place.FirstOrdinal, place.Ordinals)).ToArray();
        return new(peers, [.. hosts.Select((_, i) => new TestHost(new(replicas, shards, hosts, i), compression, peers.Jobs[i]))]);
    }

    /// <summary>Lets every host do something at the same time, as the device threads of processes do. If one fails, the others need not wait for it.</summary>
    public async Task Run(Action<TestHost> work)
    {
        var all = Hosts.Select(host => Task.Factory.StartNew(() => Work(host, work), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        await foreach (var one in Task.WhenEach(all))
        {
            if (one.IsFaulted)
            {
                await _peers.DisposeAsync();
                await one;
            }
        }
    }

    private static void Work(TestHost host, Action<TestHost> work)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var untracked = TorchSharp.torch.no_grad();
        work(host);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in Hosts)
        {
            host.Dispose();
        }

        await _peers.DisposeAsync();
    }
}

/// <summary>One of them.</summary>
internal sealed class TestHost : IDisposable
{
    public TestHost(WorkerGrid grid, CompressionSettings compression, IMessageTransport transport)
    {
        (Grid, Transport) = (grid, transport);
        Rows = new(new ShardPlan(TestTrainer.Declaration, grid.Shards), grid.Own.FirstOrdinal, grid.Own.Ordinals);
        using var scope = TorchSharp.torch.NewDisposeScope();
        Trainer = new(Rows);
        Exchange = new(grid, Rows, Trainer, compression, seed: 3, transport, epoch: 1);
        Pieces = new(Rows, Trainer);
    }

    public WorkerGrid Grid { get; }

    public IMessageTransport Transport { get; }

    public HeldRows Rows { get; }

    public TestTrainer Trainer { get; }

    public GradientExchange Exchange { get; }

    public StatePieces Pieces { get; }

    /// <summary>Verdicts of the updates so far.</summary>
    public List<Verdict> Verdicts { get; } = [];

    /// <summary>Does an update with the others.</summary>
    /// <param name="step">Its number.</param>
    /// <param name="spoil">Changes a worker's gradient before it is given away.</param>
    public void Update(int step, Action<int, TorchSharp.torch.Tensor>? spoil = null)
    {
        using var exchange = Exchange.Begin(step, TestContext.Current.CancellationToken);
        var ballots = Grid.OwnWorkers.Select((worker, i) =>
        {
            Trainer.Compute(step, worker);
            spoil?.Invoke(worker, Trainer.Network.Gradient);
            exchange.Add(i, Trainer.Network.Gradient);
            return new Ballot { Figures = [worker, 1.0 / (worker + 1)], NotFinite = [worker], Wishes = worker == 0 ? Wishes.Snapshot : Wishes.None };
        }).ToArray();
        var verdict = Exchange.Prepare(step, ballots, TestContext.Current.CancellationToken);
        if (verdict.IsFinite)
        {
            Exchange.Commit();
        }
        else
        {
            Exchange.Abort();
        }

        Trainer.Apply(verdict.Norm);
        Exchange.Publish(step, TestContext.Current.CancellationToken);
        Verdicts.Add(verdict);
    }

    /// <summary>The bytes of every piece of state that is here, and of the whole network.</summary>
    public IReadOnlyDictionary<string, byte[]> State()
    {
        var state = new Dictionary<string, byte[]> { ["network"] = Trainer.Network.Master.bytes.ToArray() };
        foreach (var ordinal in Grid.Own.OwnOrdinals)
        {
            using var piece = new StateBuffer(Pieces.Size(ordinal));
            Pieces.Save(ordinal, piece);
            state[$"ordinal {ordinal}"] = piece.Parts.SelectMany(part => part.ToArray()).ToArray();
            foreach (var replica in Grid.Own.OwnReplicas)
            {
                using var error = Exchange.ReadError(replica, ordinal);
                state[$"error {replica}/{ordinal}"] = error.bytes.ToArray();
            }
        }

        return state;
    }

    public void Dispose()
    {
        Exchange.Dispose();
        Trainer.Dispose();
    }
}
