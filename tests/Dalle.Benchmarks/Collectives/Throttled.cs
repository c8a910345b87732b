using System.Diagnostics;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Model.Native;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Collectives;

/// <summary>Updates of configuration T's prior by two replicas, with a link of 100 Mbit/s between them: compressed, and as they are, which is the peer.</summary>
internal sealed class Throttled : IBenchmark
{
    private const double BytesPerSecond = 100e6 / 8;

    private const int Rank = 8, Batch = 2;

    public string Name => "throttled";

    public string Summary => "an update of two replicas over a link of 100 Mbit/s, compressed, beside uncompressed";

    public IEnumerable<Figure> Run()
    {
        var plain = Measure(rank: 0, updates: 3);
        var compressed = Measure(Rank, updates: 20);
        yield return new("throttled", compressed * 1e3, "ms", plain * 1e3, HigherIsBetter: false);
        var plan = new CompressionPlan(new ShardPlan(TransformerParameters.Declare(ConfigurationT.Prior), 1).Shards[0], new(Rank));
        yield return new("throttled, saved", 100 * (1 - ((double)plan.BytesPerUpdate / plan.UncompressedBytesPerUpdate)), "%");
        yield return new("throttled, saved of resblocks' matrices", 100 * plan.SavedOfWeights, "%");
    }

    private static double Measure(int rank, int updates)
    {
        using var first = new Replica("a", 0);
        using var second = new Replica("b", 1);
        using var link = new ThrottledLink(second.Endpoint.Address.EndPoint, BytesPerSecond);
        var slow = second.Endpoint.Address with { EndPoint = link.EndPoint, SocketPath = null };
        GridHost[] hosts = [new(first.Endpoint.Address with { SocketPath = null }, 0, 1, 0, 1), new(slow, 1, 1, 0, 1)];
        var times = new double[2];
        var threads = ((Replica[])[first, second]).Select((replica, i) => new Thread(() => times[i] = replica.Train(hosts, rank, updates))).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return times.Max();
    }

    private sealed class Replica(string name, int number) : IDisposable
    {
        public TransportEndpoint Endpoint { get; } = new(new() { Name = name, UnixSockets = false, Lease = TimeSpan.FromMinutes(1) });

        /// <summary>Seconds of an update, after a first one.</summary>
        public double Train(GridHost[] hosts, int rank, int updates)
        {
            TorchRuntime.UseThreads(1);
            using var scope = NewDisposeScope();
            using var generator = new Generator((ulong)number, CPU);
            var config = ConfigurationT.Prior;
            var text = randint(0, config.TextVocabulary, [Batch, config.TextLength], generator: generator);
            var image = randint(0, config.ImageVocabulary, [Batch, config.ImageLength], generator: generator);
            using var trainer = new PriorTrainer(config, new PriorTraining { Precision = Model.Parameters.Precision.Float32 }, seed: 1, CPU, workers: 2);
            var grid = new WorkerGrid(2, 1, hosts, number);
            using var exchange = new GradientExchange(
                grid, new(new ShardPlan(TransformerParameters.Declare(config), 1), 0, 1), trainer, new(rank), seed: 1, Endpoint.Open("job", epoch: 1), epoch: 1);
            var start = 0L;
            for (var step = 0; step <= updates; step++)
            {
                start = step == 1 ? Stopwatch.GetTimestamp() : start;
                var gradients = trainer.Gradients(text, image, new(2 * Batch * config.TextLength, 2 * Batch * config.ImageLength));
                exchange.Add(0);
                var verdict = exchange.Prepare(step, [new() { Figures = [gradients.Losses.Text, gradients.Losses.Image] }], CancellationToken.None);
                exchange.Commit();
                trainer.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), gradients.Finite, report: false);
            }

            return Stopwatch.GetElapsedTime(start).TotalSeconds / updates;
        }

        public void Dispose() => Endpoint.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
