using Dalle.Collectives.Sharding;
using Dalle.Collectives.Tests.Transport;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Updates;

/// <summary>A prior whose resblocks are gathered one after the other, with sockets between the hosts.</summary>
public sealed class StreamedResblocksTests
{
    private const int BatchSize = 6, Updates = 3;

    private static readonly TransformerConfig Config = new()
    {
        Layers = 3, Width = 32, Heads = 2, TextLength = 5, TextVocabulary = 11, GridSize = 4, ImageVocabulary = 7, ConvolutionKernel = 3,
    };

    /// <summary>Hosts by first replica, replicas, first ordinal, ordinals.</summary>
    private static Dictionary<string, (int, int, int, int)[]> Places { get; } = new()
    {
        ["one"] = [(0, 2, 0, 3)],
        ["one replica shared out"] = [(0, 1, 0, 2), (0, 1, 2, 1), (1, 1, 0, 3)],
        ["a host a worker"] = [(0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 2, 1), (1, 1, 0, 1), (1, 1, 1, 1), (1, 1, 2, 1)],
    };

    [Theory]
    [InlineData("one replica shared out", Precision.Float32, 0, false)]
    [InlineData("one replica shared out", Precision.BFloat16, 2, true)]
    [InlineData("one replica shared out", Precision.Float16, 2, false)]
    [InlineData("a host a worker", Precision.Float32, 2, true)]
    [InlineData("a host a worker", Precision.BFloat16, 0, false)]
    [InlineData("a host a worker", Precision.Float16, 0, true)]
    public async Task Updates_ComeToTheSameBytes_AsWithWholeArrays(string hosting, Precision precision, int rank, bool recompute)
    {
        var training = new PriorTraining { LearningRate = 1e-2, WarmUp = 0, AverageEvery = 1, Precision = precision, Recompute = recompute };
        var expected = await Run(Places["one"], training, rank);

        var actual = await Run(Places[hosting], training, rank);

        Assert.All(actual, host => Assert.All(host, piece => Assert.Equal(expected[0][piece.Key], piece.Value)));
    }

    // By host.
    private static async Task<Dictionary<string, byte[]>[]> Run((int FirstReplica, int Replicas, int FirstOrdinal, int Ordinals)[] places, PriorTraining training, int rank)
    {
        await using var peers = Peers.Of(places.Length);
        var hosts = places.Select((place, i) => new GridHost(peers.Addresses[i], place.FirstReplica, place.Replicas, place.FirstOrdinal, place.Ordinals)).ToArray();
        return await Task.WhenAll(hosts.Select((_, i) => Task.Factory.StartNew(
            () => Train(new WorkerGrid(2, 3, hosts, i), training, rank, peers.Jobs[i]), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
    }

    // The third host leaves after an update: the second one then waits for the first, which is there but has lost the third.
    [Fact]
    public async Task Update_WhenAHostIsLost_EndsOnAllOthers()
    {
        var places = new[] { 0, 1, 2 };
        await using var peers = Peers.Of(places.Length);
        var hosts = places.Select(ordinal => new GridHost(peers.Addresses[ordinal], 0, 1, ordinal, 1)).ToArray();

        var runs = hosts.Select((_, i) => Task.Factory.StartNew(
            () =>
            {
                using var host = new Host(new WorkerGrid(1, 3, hosts, i), new PriorTraining { Precision = Precision.Float32 }, rank: 0, peers.Jobs[i]);
                host.Update(0);
                if (i < 2)
                {
                    host.Update(1);
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)).ToArray();
        await runs[2];
        await peers.Jobs[2].DisposeAsync();

        await Assert.ThrowsAnyAsync<TransportException>(() => runs[0]);
        await Assert.ThrowsAnyAsync<TransportException>(() => runs[1]);
    }

    private static Dictionary<string, byte[]> Train(WorkerGrid grid, PriorTraining training, int rank, IMessageTransport transport)
    {
        using var host = new Host(grid, training, rank, transport);
        for (var step = 0; step < Updates; step++)
        {
            host.Update(step);
        }

        host.Exchange.PublishAverage(Updates, TestContext.Current.CancellationToken);
        return host.State();
    }

    private sealed class Host : IDisposable
    {
        private readonly DisposeScope _scope = NewDisposeScope();
        private readonly WorkerGrid _grid;
        private readonly PriorTrainer _trainer;
        private readonly StatePieces _pieces;
        private readonly bool _scaled;

        public Host(WorkerGrid grid, PriorTraining training, int rank, IMessageTransport transport)
        {
            set_num_threads(2);
            var rows = new HeldRows(new ShardPlan(TransformerParameters.Declare(Config), grid.Shards), grid.Own.FirstOrdinal, grid.Own.Ordinals);
            (_grid, _scaled) = (grid, training.Precision == Precision.Float16);
            _trainer = new(Config, training, seed: 7, CPU, held: rows.Ranges, workers: grid.Workers);
            _pieces = new(rows, _trainer);
            Exchange = new(grid, rows, _trainer, new(rank), seed: 3, transport, epoch: 1);
        }

        public GradientExchange Exchange { get; }

        public void Update(int step)
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator((ulong)step);
            var text = randint(0, Config.TextVocabulary, [BatchSize, Config.TextLength], generator: generator);
            var image = randint(0, Config.ImageVocabulary, [BatchSize, Config.ImageLength], generator: generator);
            var cancellationToken = TestContext.Current.CancellationToken;
            using var exchange = Exchange.Begin(step, cancellationToken);
            var gradients = _trainer.Gradients([.. _grid.OwnWorkers.Select(worker => (text.narrow(0, worker, 1), image.narrow(0, worker, 1)))], PredictedTokens.Of(text, image), exchange);
            var verdict = Exchange.Prepare(step, [.. gradients.Select(Ballot)], cancellationToken);
            Assert.True(verdict.IsFinite);
            Exchange.Commit();
            _trainer.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), _scaled ? [.. Enumerable.Repeat(true, 2 * Config.Layers)] : null);
            Exchange.Publish(step, cancellationToken);
        }

        // The bytes of every ordinal's state, and of the average where it is gathered.
        public Dictionary<string, byte[]> State()
        {
            var state = new Dictionary<string, byte[]>();
            foreach (var ordinal in _grid.Own.OwnOrdinals)
            {
                using var piece = new StateBuffer(_pieces.Size(ordinal));
                _pieces.Save(ordinal, piece);
                state[$"ordinal {ordinal}"] = piece.Parts.SelectMany(part => part.ToArray()).ToArray();
            }

            if (_grid.Leads)
            {
                state["average"] = _trainer.Average.Master.bytes.ToArray();
            }

            return state;
        }

        public void Dispose()
        {
            Exchange.Dispose();
            _trainer.Dispose();
            _scope.Dispose();
        }

        private static Ballot Ballot(PriorGradients worker) => new()
        {
            Figures = [worker.Losses.Text, worker.Losses.Image],
            NotFinite = [.. (worker.Finite ?? []).Index().Where(resblock => !resblock.Item).Select(resblock => resblock.Index)],
        };
    }
}
