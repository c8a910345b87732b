using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;
using Microsoft.Extensions.Time.Testing;

namespace Dalle.Cli.Tests.Rendering;

public sealed class TrainingLogTests : IDisposable
{
    private readonly StringWriter _output = new() { NewLine = "\n" };
    private readonly FakeTimeProvider _clock = new();
    private readonly TrainingProgress _progress = new();
    private readonly TrainingLog _log;

    public TrainingLogTests() => _log = new TrainingLog(_output, _clock, TimeSpan.FromSeconds(10));

    [Fact]
    public void Write_ManySteps_AreThrottled()
    {
        Send(new StageStarted(TrainingStage.Prior, 0, 100));
        for (var step = 1; step <= 100; step++)
        {
            Send(new PriorStepCompleted { Step = step, Updates = 100, Loss = 1 });
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        // The stage, then updates 1, 11, 21, ..., 91.
        Assert.Equal(11, Lines.Length);
        Assert.StartsWith("prior 91/100 (91 %)  loss 1.0000", Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Write_StagesAndEnds_AreNeverThrottled()
    {
        Send(new PhaseChanged(TrainingPhase.Running));
        Send(new StageStarted(TrainingStage.Tokenizer, 0, 0));
        Send(new StageCompleted(TrainingStage.Tokenizer, 2));
        Send(new CheckpointSkipped(new(TrainingStage.DiscreteVae, 1000, "path"), "the file is cut off"));
        Send(new StageStarted(TrainingStage.DiscreteVae, 500, 3000));
        Send(new DiscreteVaeEvaluated { Step = 500, Psnr = 20.06, CodesInUse = 9, CodebookSize = 256 });
        Send(new DiscreteVaeEvaluated { Step = 750, Psnr = 21, CodesInUse = 9, CodebookSize = 256, OfTrainingPictures = true });
        Send(new RerankerEvaluated { Step = 100, ImageToText = 0.625, TextToImage = 0.5, Pairs = 256, BatchSize = 32 });
        Send(new PhaseChanged(TrainingPhase.Failed, "the loss is not finite"));
        Send(new ModelPublished("demo"));

        Assert.Equal(
            [
                "job running", "tokenizer started", "tokenizer done in 0:02",
                "warning: the checkpoint of dvae 1,000 cannot be read, so an older one is taken: the file is cut off", "dvae goes on from update 500 of 3,000",
                "dvae 500: held-out psnr 20.1 dB  codes 9/256", "dvae 750: training psnr 21.0 dB  codes 9/256",
                "reranker 100: held-out pairs found among 32: text 63 %  pictures 50 %", "job failed: the loss is not finite", "model demo published",
            ],
            Lines);
    }

    public void Dispose() => _output.Dispose();

    private string[] Lines => _output.ToString().TrimEnd('\n').Split('\n');

    private void Send(TrainingEvent next)
    {
        _progress.Apply(next);
        _log.Write(_progress, next);
    }
}
