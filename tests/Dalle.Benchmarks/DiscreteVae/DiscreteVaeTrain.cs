using System.Diagnostics;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.DiscreteVae;

/// <summary>
/// Training a discrete VAE of configuration T (64x64 pixels, 16x16 tokens of 1024 codes), batch 32, two threads: speed at the peer's size, and what 300 updates
/// make of real pictures.
/// </summary>
internal sealed class DiscreteVaeTrain : IBenchmark
{
    private const int Batch = 32;
    private const int WarmUp = 4, Timed = 12;
    private const int EmojiUpdates = 300;

    // DALLE-pytorch 1.6.6, 0.86 M parameters, on the machine of the notes; its quality after 300 updates (Adam 1e-3), from the most likely codes.
    private const double DallePytorch = 67.6, DallePytorchPsnr = 17.7, DallePytorchPerplexity = 8;

    public string Name => "dvae-train";

    public string Summary => "training a discrete VAE of configuration T, pictures per second; PSNR and perplexity after 300 updates on emoji";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        var (own, peer) = Speed();
        yield return new("dvae-train", Batch / own, "pictures/s", DallePytorch);
        yield return new("dvae-train step", own * 1e3, "ms", peer, HigherIsBetter: false);

        var (evaluation, seconds) = Emoji();
        yield return new($"dvae-train PSNR after {EmojiUpdates}", evaluation.Psnr, "dB", DallePytorchPsnr);
        yield return new($"dvae-train perplexity after {EmojiUpdates}", evaluation.Perplexity, "codes", DallePytorchPerplexity);
        yield return new($"dvae-train time of {EmojiUpdates}", seconds, "s", HigherIsBetter: false);
    }

    /// <summary>Seconds of the fastest update and milliseconds of a peer's, measured in turns so that both meet the same noise.</summary>
    private static (double Own, double? Peer) Speed()
    {
        using var scope = NewDisposeScope();
        using var trainer = new DiscreteVaeTrainer(PeerSize.Config, OnThisMachine(Preset.Emoji.DiscreteVaeTraining), seed: 1, CPU);
        using var generator = new Generator(1, CPU);
        var pixels_BCHW = rand([Batch, 3, PeerSize.Config.ImageSize, PeerSize.Config.ImageSize], generator: generator);
        var step = 0;
        var own = Fastest();
        var peer = PeerScript.Measure("dvae_train.py");
        own = Math.Min(own, Fastest());
        return (own, PeerScript.Measure("dvae_train.py") is { } again && again < peer ? again : peer);

        double Fastest() => Enumerable.Range(0, WarmUp + Timed).Select(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            trainer.Step(step++, pixels_BCHW, report: false);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }).Skip(WarmUp).Min();
    }

    private static DiscreteVaeTraining OnThisMachine(DiscreteVaeTraining training) => training with { Precision = training.Precision.On(TorchSharp.DeviceType.CPU) };

    private static (DiscreteVaeEvaluation Evaluation, double Seconds) Emoji()
    {
        using var pictures = new EmojiPictures();
        using var scope = NewDisposeScope();

        // So few and large updates learn most with wide first groups, from large steps that begin small, and with a high floor under the likelihood's scale.
        var config = Preset.Emoji.DiscreteVae with { GroupWidths = [64, 128, 256] };
        var training = OnThisMachine(Preset.Emoji.DiscreteVaeTraining.WithUpdates(EmojiUpdates)) with
        {
            BatchSize = Batch,
            LearningRate = new(6e-3, 1e-5, EmojiUpdates),
            WarmUp = 60,
            LogScaleFloor = -1,
            UsageEntropyWeight = new(0.3, 0.1, EmojiUpdates),
        };
        using var trainer = new DiscreteVaeTrainer(config, training, seed: 1, CPU);
        var watch = new Stopwatch();
        for (var step = 0; step < EmojiUpdates; step++)
        {
            using var pixels_BCHW = pictures.Batch(step, Batch);
            watch.Start();
            trainer.Step(step, pixels_BCHW, report: false);
            watch.Stop();
        }

        return (trainer.Evaluate(pictures.HeldOut()), watch.Elapsed.TotalSeconds);
    }
}

/// <summary>A discrete VAE of configuration T of the size of the peer's: 0.86 M parameters.</summary>
internal static class PeerSize
{
    public static DiscreteVaeConfig Config { get; } = Preset.Emoji.DiscreteVae with { GroupWidths = [72, 120, 232] };
}
