using System.Diagnostics;
using System.Net;
using Dalle.Collectives.Groups;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Updates;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Training;

/// <summary>An update of the quickstart's prior by the exchange that shares updates among workers, with a single worker. The peer is the same trainer's plain update, in turns.</summary>
internal sealed class Overhead : IBenchmark
{
    private const int WarmUp = 10, Timed = 400;

    public string Name => "overhead";

    public string Summary => "an update of one worker by way of the exchange between workers, beside a plain loop";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        var training = Preset.Tiny.PriorTraining with { Precision = Preset.Tiny.PriorTraining.Precision.On(TorchSharp.DeviceType.CPU), StartFromCodebook = false };
        var config = Preset.Tiny.Transformer;
        var text_BT = randint(0, config.TextVocabulary, [training.BatchSize, config.TextLength], generator: generator);
        var image_BN = randint(0, config.ImageVocabulary, [training.BatchSize, config.ImageLength], generator: generator);

        using var plain = new PriorTrainer(config, training, seed: 1, CPU);
        using var shared = new PriorTrainer(config, training, seed: 1, CPU);
        var grid = new WorkerGrid(1, 1, [new(new("here", new(IPAddress.Loopback, 0)), 0, 1, 0, 1)], own: 0);
        using var exchange = new GradientExchange(
            grid, new(new ShardPlan(TransformerParameters.Declare(config), 1), 0, 1), shared, new(Preset.Tiny.CompressionRank), seed: 1, new SoleProcess("here"), epoch: 1);
        var (plains, shareds) = (new List<double>(), new List<double>());
        for (var step = 0; step < WarmUp + Timed; step++)
        {
            var (one, other) = (Time(() => plain.Step(step, text_BT, image_BN, report: false)), Time(() => Share(step)));
            if (step >= WarmUp)
            {
                plains.Add(one);
                shareds.Add(other);
            }
        }

        yield return new("overhead", Median(shareds) * 1e3, "ms", Median(plains) * 1e3, HigherIsBetter: false);

        void Share(int step)
        {
            using var workers = exchange.Begin(step, CancellationToken.None);
            var gradients = shared.Gradients([(text_BT, image_BN)], PredictedTokens.Of(text_BT, image_BN), workers)[0];
            var verdict = exchange.Prepare(step, [new() { Figures = [gradients.Losses.Text, gradients.Losses.Image] }], CancellationToken.None);
            exchange.Commit();
            shared.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), gradients.Finite, report: false);
            exchange.Publish(step, CancellationToken.None);
        }
    }

    private static double Time(Action work)
    {
        using var scope = NewDisposeScope();
        var start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> seconds) => seconds.Order().ElementAt(seconds.Count / 2);
}
