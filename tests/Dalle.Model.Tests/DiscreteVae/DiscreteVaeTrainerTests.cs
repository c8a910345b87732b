using System.Globalization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using Dalle.Model.Tests.Native;
using Dalle.Model.Tests.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.DiscreteVae;

public sealed class DiscreteVaeTrainerTests
{
    private static readonly DiscreteVaeConfig Config = DiscreteVaeTests.Config;

    private static readonly DiscreteVaeTraining Training = new()
    {
        Updates = 40, BatchSize = 4, LearningRate = new(3e-3, 3e-4, 40), KlWeight = new(0, 0.5, 20), Tau = new(1, 0.2, 30),
        AverageDecay = 0.9, LogScaleFloor = -2, UsageEntropyWeight = new(0.05, 0.05, 25),
    };

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void Step_OnFewPictures_LearnsThem(Precision precision)
    {
        using var scope = NewDisposeScope();
        using var trainer = NewTrainer(Training with { Precision = precision, LearningRate = new(1e-2, 1e-3, 150), Tau = new(1, 0.2, 100), KlWeight = new(0, 0, 0) });
        var pixels = Squares();
        var before = trainer.Evaluate(pixels).Psnr;

        for (var step = 0; step < 150; step++)
        {
            trainer.Step(step, pixels, report: false);
        }

        var after = trainer.Evaluate(pixels);
        Assert.True(after.Psnr > before + 6, $"{before} dB became {after.Psnr} dB.");
        Assert.InRange(after.CodesInUse, 3, Config.CodebookSize);
        Assert.InRange(after.Perplexity, 2, Config.CodebookSize);
    }

    [Fact]
    public void Step_WithWarmUp_TakesAShareOfTheSchedulesStepSize()
    {
        using var scope = NewDisposeScope();
        using var trainer = NewTrainer(Training with { WarmUp = 4 });

        var taken = Enumerable.Range(0, 6).Select(step => trainer.Step(step, Squares())!.LearningRate / Training.LearningRate.At(step));

        Assert.Equal([0.25, 0.5, 0.75, 1, 1, 1], taken.Select(share => Math.Round(share, 9)));
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void Restore_InTheMiddle_GoesOnToTheSameBits(Precision precision)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var checkpoint = folder.File("step-9");
        using var undisturbed = NewTrainer(Training with { Precision = precision });
        Run(undisturbed, 0, 9);
        Checkpoint.Save(checkpoint, "dvae", undisturbed);
        Run(undisturbed, 9, 20);

        using var resumed = NewTrainer(Training with { Precision = precision });
        Checkpoint.Restore(checkpoint, "dvae", resumed);
        Assert.Equal(9, ((ICheckpointed)resumed).Step);
        Run(resumed, 9, 20);

        Assert.Equal(Bytes(undisturbed), Bytes(resumed));
    }

    // Three pictures: the slices differ in size.
    [Theory]
    [InlineData(Precision.Float32, 1e-4)]
    [InlineData(Precision.BFloat16, 2e-2)]
    public void Step_InSlices_ChangesTheWeightsAsTheWholeBatchDoes(Precision precision, double tolerance)
    {
        using var scope = NewDisposeScope();
        var training = Training with { Precision = precision };
        using var whole = LibtorchThreads.Use(1, () => NewTrainer(training));
        using var sliced = LibtorchThreads.Use(2, () => NewTrainer(training));
        var pixels = DiscreteVaeTests.Pixels(3, seed: 5);

        var expected = LibtorchThreads.Use(1, () => whole.Step(0, pixels)!);
        var actual = LibtorchThreads.Use(2, () => sliced.Step(0, pixels)!);

        Assert.Equal(expected.Loss, actual.Loss, tolerance);
        Assert.Equal(1, actual.GradientNorm / expected.GradientNorm, tolerance);
        foreach (var (a, b) in whole.NamedState().Zip(sliced.NamedState()).Where(pair => pair.First.Name.StartsWith("optimizer.mean.", StringComparison.Ordinal)))
        {
            var difference = (a.Tensor - b.Tensor).norm().item<float>();
            Assert.True(difference <= tolerance * expected.GradientNorm, $"{a.Name} differs by {difference}.");
        }
    }

    [Fact]
    public void Step_WithAndWithoutAReport_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        using var silent = NewTrainer(Training);
        using var reporting = NewTrainer(Training);

        Run(silent, 0, 5);
        for (var step = 0; step < 5; step++)
        {
            Assert.NotNull(reporting.Step(step, Batch(step)));
        }

        Assert.Equal(Bytes(silent), Bytes(reporting));
    }

    [Fact]
    public void Step_OfAnotherSeed_DrawsOtherNoise()
    {
        using var scope = NewDisposeScope();
        using var one = NewTrainer(Training, seed: 1);
        using var other = NewTrainer(Training, seed: 2);
        foreach (var (source, target) in one.NamedState().Zip(other.NamedState()))
        {
            target.Tensor.copy_(source.Tensor);
        }

        ((ICheckpointed)other).OnRestored();

        Assert.NotEqual(one.Step(0, Batch(0))!.Reconstruction, other.Step(0, Batch(0))!.Reconstruction);
    }

    [Fact]
    public void Step_WithAGradientThatIsNotFinite_ChangesNoWeight()
    {
        using var scope = NewDisposeScope();
        using var trainer = NewTrainer(Training);
        var pixels = Batch(0);
        pixels[0, 0, 0, 0] = float.NaN;
        var before = Bytes(trainer);

        var report = trainer.Step(0, pixels)!;

        Assert.False(double.IsFinite(report.GradientNorm));
        Assert.Equal(before, Bytes(trainer));
    }

    // On one thread the slices of two come one after the other, and every tensor is on the books of the thread that made it.
    [Fact]
    public void Step_Repeated_LeavesNoTensorBehind()
    {
        using var scope = NewDisposeScope();
        using var trainer = LibtorchThreads.Use(2, () => NewTrainer(Training));
        using var one = new LibtorchThreads(1);
        var pixels = Batch(0);
        trainer.Step(0, pixels);
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        for (var step = 1; step <= 50; step++)
        {
            trainer.Step(step, pixels, report: step % 2 == 0);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Step_ReportsTheSchedulesOfItsStep()
    {
        using var scope = NewDisposeScope();
        using var trainer = NewTrainer(Training);

        var report = trainer.Step(10, Batch(0))!;

        Assert.Equal((0.25, Training.Tau.At(10), Training.LearningRate.At(10)), (report.KlWeight, report.Tau, report.LearningRate));
        Assert.Equal(report.Reconstruction + (0.25 * report.Kl), report.Loss, 0.05 * Math.Log(Config.CodebookSize) + 1e-6);
        Assert.InRange(report.Kl, 0, Math.Log(Config.CodebookSize) * Config.TokenCount / Config.SubPixelCount);
    }

    [Fact]
    public void WithUpdates_StretchesEverySchedule()
    {
        var longer = Training.WithUpdates(80);

        Assert.Equal((80, 80, 40, 60, 50), (longer.Updates, longer.LearningRate.Over, longer.KlWeight.Over, longer.Tau.Over, longer.UsageEntropyWeight.Over));
        Assert.Equal(Training.Tau.At(7), longer.Tau.At(14));
        Assert.Equal((1 - Training.AverageDecay) / 2, 1 - longer.AverageDecay, 12);
    }

    // Written by an earlier version of this test: a change of the mathematics shows, one of rounding does not.
    [Fact]
    public void Losses_OfTwentySteps_EqualTheGoldenFile()
    {
        using var scope = NewDisposeScope();
        using var trainer = NewTrainer(Training with { Precision = Precision.Float32 });
        var lines = Enumerable.Range(0, 20).Select(step =>
        {
            var report = trainer.Step(step, Squares())!;
            return string.Create(CultureInfo.InvariantCulture, $"{step} {report.Loss:F4} {report.Reconstruction:F4} {report.Kl:F5} {report.GradientNorm:F3}");
        });
        ApprovedText.Matches("DiscreteVae/discrete-vae.losses.txt", lines, tolerance: 2e-3);
    }

    [Fact]
    public void Training_InAPrecisionThatNeedsScales_IsRefused() =>
        Assert.Contains("Float16", Assert.Throws<ArgumentException>(() => NewTrainer(Training with { Precision = Precision.Float16 })).Message);

    private static DiscreteVaeTrainer NewTrainer(DiscreteVaeTraining training, ulong seed = 1) => new(Config, training, seed, CPU);

    private static Tensor Batch(int step) => DiscreteVaeTests.Pixels(4, seed: (ulong)(100 + step));

    private static void Run(DiscreteVaeTrainer trainer, int from, int to)
    {
        for (var step = from; step < to; step++)
        {
            trainer.Step(step, Batch(step), report: false);
        }
    }

    // Four pictures of a square on white, each of another colour and place.
    private static Tensor Squares()
    {
        var pixels = ones(4, 3, Config.ImageSize, Config.ImageSize);
        for (var i = 0; i < 4; i++)
        {
            pixels[i].narrow(1, 2 * i, 8).narrow(2, 8 - (2 * i), 8).copy_(tensor(new float[] { i & 1, i >> 1, 0.5f }).view(3, 1, 1));
        }

        return pixels;
    }

    private static Dictionary<string, string> Bytes(DiscreteVaeTrainer trainer) =>
        trainer.NamedState().ToDictionary(state => state.Name, state => Convert.ToHexString(state.Tensor.contiguous().bytes));
}
