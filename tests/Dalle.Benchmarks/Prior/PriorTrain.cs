using System.Diagnostics;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Prior;

/// <summary>Training the prior of configuration T: d 256, 8 layers, 8 heads, 64 text and 256 image tokens, 4096 and 1024 codes, batch 8, two threads.</summary>
internal sealed class PriorTrain : IBenchmark
{
    // DALLE-pytorch 1.6.6, tuned, with the paper's masks, on the machine of the notes.
    private const double DallePytorch = 1814;

    public string Name => "prior-train";

    public string Summary => "training the prior of configuration T, tokens per second, beside plain PyTorch and DALLE-pytorch";

    public IEnumerable<Figure> Run()
    {
        using var steps = new TrainingSteps(ConfigurationT.Prior, batch: 8);
        var (own, peer) = steps.Beside("prior_train.py", "4096", "1024");
        yield return new("prior-train", steps.Tokens / own, "tokens/s", DallePytorch);
        yield return new("prior-train step", own * 1e3, "ms", peer, HigherIsBetter: false);
    }
}

/// <summary>Memory of the process over a long training of the prior of configuration T. To be run alone: what ran before in the process is counted too.</summary>
internal sealed class PriorTrainMemory : IBenchmark
{
    public string Name => "prior-train-memory";

    public string Summary => "the most memory that a process training the prior of configuration T has had by 100, 1,000 and 2,000 updates; run it alone";

    public IEnumerable<Figure> Run()
    {
        using var steps = new TrainingSteps(ConfigurationT.Prior, batch: 8);
        foreach (var updates in (int[])[100, 1_000, 2_000])
        {
            steps.RunTo(updates);
            using var process = Process.GetCurrentProcess();
            yield return new($"prior-train-memory {updates}", process.PeakWorkingSet64 / 1e6, "MB", HigherIsBetter: false);
        }
    }
}

/// <summary>Training at the size of a plain GPT with one vocabulary of 8192: here both vocabularies are that large, so that every position has as much to predict.</summary>
internal sealed class PriorTrainProbe : IBenchmark
{
    public string Name => "prior-train-8192";

    public string Summary => "training the prior with 8192 text and image codes, ms a step, beside a plain GPT in PyTorch";

    public IEnumerable<Figure> Run()
    {
        using var steps = new TrainingSteps(ConfigurationT.Prior with { TextVocabulary = 8192, ImageVocabulary = 8192 }, batch: 8);
        var (own, peer) = steps.Beside("gpt_train.py");
        yield return new("prior-train-8192 step", own * 1e3, "ms", peer, HigherIsBetter: false);
    }
}

/// <summary>Updates of a prior on one random batch, on two threads.</summary>
internal sealed class TrainingSteps : IDisposable
{
    private const int WarmUp = 4, Timed = 12;

    private readonly TorchSharp.DisposeScope _scope;
    private readonly PriorTrainer _trainer;
    private readonly Tensor _text;
    private readonly Tensor _image;
    private int _step;

    public TrainingSteps(TransformerConfig config, int batch)
    {
        TorchRuntime.UseThreads(2);
        _scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        _text = randint(0, config.TextVocabulary, [batch, config.TextLength], generator: generator);
        _image = randint(0, config.ImageVocabulary, [batch, config.ImageLength], generator: generator);
        _trainer = new(config, new PriorTraining { Recompute = false, Precision = Precision.BFloat16.On(TorchSharp.DeviceType.CPU) }, seed: 1, CPU);
        Tokens = batch * config.SequenceLength;
    }

    /// <summary>Sequence positions of one update.</summary>
    public int Tokens { get; }

    /// <summary>Seconds of the fastest update and milliseconds of a peer's, measured in turns so that both meet the same noise.</summary>
    public (double Own, double? Peer) Beside(string script, params string[] arguments)
    {
        var own = Fastest();
        var peer = PeerScript.Measure(script, arguments);
        own = Math.Min(own, Fastest());
        return (own, PeerScript.Measure(script, arguments) is { } again && again < peer ? again : peer);
    }

    /// <summary>Performs updates up to a number of them in all.</summary>
    public void RunTo(int updates)
    {
        while (_step < updates)
        {
            _trainer.Step(_step++, _text, _image, report: false);
        }
    }

    public void Dispose()
    {
        _trainer.Dispose();
        _scope.Dispose();
    }

    private double Fastest()
    {
        for (var i = 0; i < WarmUp; i++)
        {
            _trainer.Step(_step++, _text, _image);
        }

        return Enumerable.Range(0, Timed).Min(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            _trainer.Step(_step++, _text, _image);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        });
    }
}
