using Dalle.Cli.Rendering;
using Dalle.Contracts.Training;

namespace Dalle.Cli.Tests.Rendering;

public sealed class TrainingProgressTests
{
    [Fact]
    public void Apply_ANewStage_StartsTheCurveAgain()
    {
        var progress = new TrainingProgress();
        progress.Apply(new StageStarted(TrainingStage.DiscreteVae, 0, 10));
        progress.Apply(new DiscreteVaeStepCompleted { Step = 1, Updates = 10, Loss = 3 });
        progress.Apply(new StageCompleted(TrainingStage.DiscreteVae, 12));
        progress.Apply(new StageStarted(TrainingStage.Prior, 0, 20));
        progress.Apply(new PriorStepCompleted { Step = 5, Updates = 20, Loss = 2, Remaining = TimeSpan.FromSeconds(9) });

        Assert.Equal([2.0], progress.Losses.Points);
        Assert.Equal(0.25, progress.Share);
        Assert.Equal(TimeSpan.FromSeconds(9), progress.Remaining);
        Assert.Equal(12, progress.Finished[TrainingStage.DiscreteVae]);
    }

    [Fact]
    public void Apply_AResumedStage_CountsFromItsCheckpoint()
    {
        var progress = new TrainingProgress();
        progress.Apply(new StageStarted(TrainingStage.Prior, 500, 1000));
        Assert.Equal(0.5, progress.Share);
        Assert.Equal("prior 500/1,000 (50 %)", TrainingFigures.Position(progress));
    }

    [Fact]
    public void View_WhileTraining_ShowsStagesBarCurveAndFigures()
    {
        var progress = new TrainingProgress();
        progress.Apply(new StageCompleted(TrainingStage.Prepare, 1.2));
        progress.Apply(new StageStarted(TrainingStage.DiscreteVae, 0, 3000));
        progress.Apply(new DiscreteVaeStepCompleted { Step = 100, Updates = 3000, Loss = 2 });
        progress.Apply(new DiscreteVaeStepCompleted
        {
            Step = 1240, Updates = 3000, Loss = 1.5, Perplexity = 143.2, PicturesPerSecond = 612, Remaining = TimeSpan.FromSeconds(72),
        });
        progress.Apply(new DiscreteVaeEvaluated { Step = 1000, Psnr = 26.44, Perplexity = 140, CodesInUse = 223, CodebookSize = 256 });

        var text = RecordingConsole.Draw(TrainingView.Of(progress, "tiny on scenes -> demo", samples: null), width: 120);

        Assert.Contains("tiny on scenes -> demo", text, StringComparison.Ordinal);
        Assert.Contains("\u2713 prepare 0:01  \u00b7 tokenizer  \u25cf dvae", text, StringComparison.Ordinal);
        Assert.Contains("dvae 1,240/3,000 (41 %)  1:12 left", text, StringComparison.Ordinal);
        Assert.Contains("loss 1.5000  perplexity 143  612 pictures/s  held-out psnr 26.4 dB  codes 223/256", text, StringComparison.Ordinal);
        Assert.Contains("   2.0000 ", text, StringComparison.Ordinal);
    }
}
