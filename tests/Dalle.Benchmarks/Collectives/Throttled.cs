using System.Diagnostics;
using System.Globalization;
using System.Net;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Transport;
using Dalle.Collectives.Updates;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Collectives;

/// <summary>
/// Updates of a prior by two replicas in two processes, with a link of 100 Mbit/s between them: compressed, and as they are, which is the peer. The prior is configuration T's with small
/// vocabularies: embeddings are not compressed, and of a large model they are a small part.
/// </summary>
internal sealed class Throttled : IBenchmark
{
    /// <summary>The hidden first argument of the second process; the next are rank and updates.</summary>
    public const string Argument = "throttled-second";

    private const double BytesPerSecond = 100e6 / 8;

    private const int Rank = 4, Batch = 1;

    private static TransformerConfig Config { get; } = ConfigurationT.Prior with { TextVocabulary = 512, ImageVocabulary = 256 };

    public string Name => "throttled";

    public string Summary => "an update of two replicas over a link of 100 Mbit/s, compressed, beside uncompressed";

    public IEnumerable<Figure> Run()
    {
        var plain = Measure(rank: 0, updates: 3);
        var compressed = Measure(Rank, updates: 20);
        yield return new("throttled", compressed * 1e3, "ms", plain * 1e3, HigherIsBetter: false);
        var plan = new CompressionPlan(new ShardPlan(TransformerParameters.Declare(Config), 1).Shards[0], new(Rank));
        yield return new("throttled, saved", 100 * (1 - ((double)plan.BytesPerUpdate / plan.UncompressedBytesPerUpdate)), "%");
        yield return new("throttled, saved of resblocks' matrices", 100 * plan.SavedOfWeights, "%");
    }

    /// <summary>The second process.</summary>
    public static int RunSecond(string rank, string updates)
    {
        Train(1, second: null, int.Parse(rank, CultureInfo.InvariantCulture), int.Parse(updates, CultureInfo.InvariantCulture));
        return 0;
    }

    private static double Measure(int rank, int updates)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [Argument, $"{rank}", $"{updates}"]) { RedirectStandardOutput = true };
        using var second = Process.Start(start)!;
        var port = int.Parse(second.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        using var link = new ThrottledLink(new IPEndPoint(IPAddress.Loopback, port), BytesPerSecond);
        var seconds = Train(0, link.EndPoint, rank, updates);
        second.WaitForExit();
        return seconds;
    }

    /// <summary>Seconds of an update, after a first one.</summary>
    private static double Train(int number, IPEndPoint? second, int rank, int updates)
    {
        TorchRuntime.UseThreads(1);
        var endpoint = new TransportEndpoint(new() { Name = $"{number}", UnixSockets = false });
        if (second is null)
        {
            Console.WriteLine(endpoint.Address.EndPoint.Port);
        }

        // Of two peers the first connects, so the second need not know where it listens.
        var other = endpoint.Address with { Name = $"{1 - number}", EndPoint = second ?? endpoint.Address.EndPoint };
        PeerAddress[] addresses = number == 0 ? [endpoint.Address, other] : [other, endpoint.Address];
        var grid = new WorkerGrid(2, 1, [.. addresses.Select((address, replica) => new GridHost(address, replica, 1, 0, 1))], number);

        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)number, CPU);
        var text = randint(0, Config.TextVocabulary, [Batch, Config.TextLength], generator: generator);
        var image = randint(0, Config.ImageVocabulary, [Batch, Config.ImageLength], generator: generator);
        using var trainer = new PriorTrainer(Config, new PriorTraining { Precision = Precision.Float32 }, seed: 1, CPU, workers: 2);
        var rows = new HeldRows(new ShardPlan(TransformerParameters.Declare(Config), 1), 0, 1);
        using var exchange = new GradientExchange(grid, rows, trainer, new(rank), seed: 1, endpoint.Open("job", epoch: 1), epoch: 1);
        var start = 0L;
        for (var step = 0; step <= updates; step++)
        {
            start = step == 1 ? Stopwatch.GetTimestamp() : start;
            var tokens = new PredictedTokens(2 * Batch * Config.TextLength, 2 * Batch * Config.ImageLength);
            using var workers = exchange.Begin(step, CancellationToken.None);
            var gradients = trainer.Gradients([(text, image)], tokens, workers)[0];
            var verdict = exchange.Prepare(step, [new() { Figures = [gradients.Losses.Text, gradients.Losses.Image] }], CancellationToken.None);
            exchange.Commit();
            trainer.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), gradients.Finite, report: false);
        }

        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / updates;
        endpoint.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return seconds;
    }
}
