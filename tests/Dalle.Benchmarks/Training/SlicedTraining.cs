using System.Diagnostics;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Training;

/// <summary>
/// An update of the quickstart's two networks on two threads, each of which takes a slice of the batch through the whole network. The peer is the same trainer
/// with the batch in one piece and every operation on both threads.
/// </summary>
internal sealed class SlicedTraining : IBenchmark
{
    private const int WarmUp = 10, Timed = 60, Rounds = 3;

    public string Name => "sliced-training";

    public string Summary => "an update of the quickstart's networks, a slice of the batch on each thread, beside every operation on both threads";

    public IEnumerable<Figure> Run()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        var (vae, vaeTraining) = (Preset.Tiny.DiscreteVae, Preset.Tiny.DiscreteVaeTraining with { Precision = Precision.BFloat16.On(TorchSharp.DeviceType.CPU) });
        var pixels_BCHW = rand([vaeTraining.BatchSize, 3, vae.ImageSize, vae.ImageSize], generator: generator);
        yield return Beside("dvae", () => new DiscreteVaeTrainer(vae, vaeTraining, seed: 1, CPU), (trainer, step) => trainer.Step(step, pixels_BCHW, report: false));

        var (prior, priorTraining) = (Preset.Tiny.Transformer, Preset.Tiny.PriorTraining with { Precision = vaeTraining.Precision, StartFromCodebook = false });
        var text_BT = randint(0, prior.TextVocabulary, [priorTraining.BatchSize, prior.TextLength], generator: generator);
        var image_BN = randint(0, prior.ImageVocabulary, [priorTraining.BatchSize, prior.ImageLength], generator: generator);
        yield return Beside("prior", () => new PriorTrainer(prior, priorTraining, seed: 1, CPU), (trainer, step) => trainer.Step(step, text_BT, image_BN, report: false));
    }

    /// <summary>The median time of an update either way, measured in turns so that both meet the same noise. A trainer has as many slices as its thread has threads when it is made.</summary>
    private static Figure Beside<TTrainer>(string network, Func<TTrainer> create, Action<TTrainer, int> step)
        where TTrainer : IDisposable
    {
        TorchRuntime.UseThreads(1);
        using var whole = create();
        TorchRuntime.UseThreads(2);
        using var sliced = create();
        var (wholes, slices) = (new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            Time(slices, at => step(sliced, at), round);
            Time(wholes, at => step(whole, at), round);
        }

        return new($"sliced-training {network}", Median(slices) * 1e3, "ms", Median(wholes) * 1e3, HigherIsBetter: false);
    }

    private static void Time(List<double> seconds, Action<int> step, int round)
    {
        for (var i = 0; i < WarmUp + Timed; i++)
        {
            var start = Stopwatch.GetTimestamp();
            step((round * (WarmUp + Timed)) + i);
            if (i >= WarmUp)
            {
                seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }
    }

    private static double Median(List<double> seconds) => seconds.Order().ElementAt(seconds.Count / 2);
}
