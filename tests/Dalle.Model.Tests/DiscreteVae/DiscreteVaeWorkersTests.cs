using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Tests.Training;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;
using Network = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Model.Tests.DiscreteVae;

/// <summary>The two halves of an update, shared by workers.</summary>
public sealed class DiscreteVaeWorkersTests : IDisposable
{
    private const int BatchSize = 8;

    private static readonly DiscreteVaeConfig Config = DiscreteVaeTests.Config;

    private static readonly DiscreteVaeTraining Training = new()
    {
        Updates = 40, BatchSize = BatchSize, LearningRate = new(3e-3, 3e-4, 40), KlWeight = new(0.3, 0.5, 20), Tau = new(1, 0.2, 30),
        AverageDecay = 0.9, LogScaleFloor = -2, UsageEntropyWeight = new(0.05, 0.05, 25), Precision = Precision.Float32,
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    // A decoder whose codebook is zero draws the same whatever the codes, so that noise touches the codebook's own gradient alone. All others' sums are exact.
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Gradients_OfWorkers_AddUpToTheBatchs(int workers)
    {
        using var trainer = NewTrainer(Training with { UsageEntropyWeight = new(0, 0, 0) }, workers: workers);
        trainer.Network.View(trainer.Network.Master, "decoder.blocks.input.w").zero_();
        trainer.Network.View(trainer.Network.Master, "decoder.blocks.input.b").copy_(linspace(-1, 1, Config.CodeWidth));
        var pixels = DiscreteVaeTests.Pixels(BatchSize);

        var (expected, figures) = Summed(trainer, 0, pixels, workers: 1);
        var (actual, sum) = Summed(trainer, 0, pixels, workers);

        Assert.Equal((figures.Loss, figures.Reconstruction, figures.Kl), (sum.Loss, sum.Reconstruction, sum.Kl), Nearly);
        Assert.InRange(sum.Perplexity, 1, figures.Perplexity + 1e-6);
        foreach (var spec in trainer.Network.Specs.Where(spec => spec.Name != "decoder.blocks.input.w"))
        {
            AssertNear(trainer.Network.View(expected, spec.Name), trainer.Network.View(actual, spec.Name), spec.Name);
        }

        static bool Nearly((double Loss, double Reconstruction, double Kl) a, (double Loss, double Reconstruction, double Kl) b) =>
            Math.Abs(a.Loss - b.Loss) < 1e-5 && Math.Abs(a.Reconstruction - b.Reconstruction) < 1e-5 && Math.Abs(a.Kl - b.Kl) < 1e-6;
    }

    // With all terms, and any decoder: a worker's part is what its rows have as a batch of their own, by its share.
    [Fact]
    public void Gradients_OfAWorker_AreItsShareOfThoseOfItsRowsAlone()
    {
        using var trainer = NewTrainer(Training, workers: 3);
        var pixels = DiscreteVaeTests.Pixels(3);
        for (var worker = 0; worker < 3; worker++)
        {
            var alone = trainer.Gradients(step: 4, worker, batch: 3, pixels, report: true)!.Value;
            var expected = trainer.Network.Gradient.mul(Number(3.0 / BatchSize));
            var share = trainer.Gradients(step: 4, worker, BatchSize, pixels, report: true)!.Value;

            AssertNear(expected, trainer.Network.Gradient, $"worker {worker}");
            Assert.Equal(3.0 / BatchSize * alone.Loss, share.Loss, 1e-5);
            Assert.Equal(3.0 / BatchSize * alone.Reconstruction, share.Reconstruction, 1e-5);
            Assert.Equal(3.0 / BatchSize * alone.Kl, share.Kl, 1e-6);
            Assert.Equal(3.0 / BatchSize * alone.Perplexity, share.Perplexity, 1e-9);
        }
    }

    [Fact]
    public void Gradients_OfOtherWorkers_AreOfOtherNoise()
    {
        using var trainer = NewTrainer(Training, workers: 2);
        var pixels = DiscreteVaeTests.Pixels(2);
        double Reconstruction(int worker) => trainer.Gradients(step: 0, worker, BatchSize, pixels, report: true)!.Value.Reconstruction;

        Assert.Equal(Reconstruction(0), Reconstruction(0));
        Assert.NotEqual(Reconstruction(0), Reconstruction(1));
    }

    [Fact]
    public void Gradients_OfAWorkerOrABatchThatIsNotThere_AreRefused()
    {
        using var trainer = NewTrainer(Training, workers: 2);
        var pixels = DiscreteVaeTests.Pixels(3);
        Assert.Throws<ArgumentOutOfRangeException>(() => trainer.Gradients(step: 0, worker: 2, BatchSize, pixels, report: false));
        Assert.Throws<ArgumentOutOfRangeException>(() => trainer.Gradients(step: 0, worker: 0, batch: 2, pixels, report: false));
        Assert.Throws<ArgumentOutOfRangeException>(() => NewTrainer(Training, workers: 0));
    }

    [Fact]
    public void Step_IsItsTwoHalves()
    {
        using var one = NewTrainer(Training);
        using var other = NewTrainer(Training);
        for (var step = 0; step < 5; step++)
        {
            var pixels = DiscreteVaeTests.Pixels(BatchSize, (ulong)step);
            var expected = one.Step(step, pixels);

            var figures = other.Gradients(step, worker: 0, BatchSize, pixels, report: true);
            Assert.Equal(expected, other.Apply(step, Math.Sqrt(other.SquaredNorm()), figures));
        }

        HeldParts.AssertAreThoseOf(one, [other]);
    }

    // Seven parts: the decoder's last array has six rows.
    [Theory]
    [InlineData(2, Precision.Float32, MomentFormat.Float32)]
    [InlineData(7, Precision.Float32, MomentFormat.Paper16)]
    [InlineData(7, Precision.BFloat16, MomentFormat.Float32)]
    [InlineData(2, Precision.BFloat16, MomentFormat.Paper16)]
    public void Updates_OfHeldRows_AreThoseOfAllToTheBit(int count, Precision precision, MomentFormat moments)
    {
        const int workers = 2, skipped = 3;
        var training = Training with { Precision = precision, Optimizer = Training.Optimizer with { Moments = moments, GradientClip = 0.1 } };
        using var whole = NewTrainer(training, workers: workers);
        DiscreteVaeTrainer[] parts = [.. Enumerable.Range(0, count).Select(part => NewTrainer(training, HeldParts.Rows(whole.Network.Specs, part, count), workers))];
        HeldParts.Gather(parts);
        HeldParts.AssertAreThoseOf(whole, parts);

        for (var step = 0; step < 5; step++)
        {
            var pixels = DiscreteVaeTests.Pixels(BatchSize, (ulong)step);
            var (gradient, figures) = Summed(whole, step, pixels, workers);
            var (same, sameFigures) = Summed(parts[^1], step, pixels, workers);
            Assert.Equal(figures, sameFigures);
            Assert.True(gradient.bytes.SequenceEqual(same.bytes));

            whole.Held.Gradient.copy_(gradient);
            HeldParts.Scatter(whole, gradient, parts);
            Assert.Equal(whole.SquaredNorm(), parts.Sum(part => part.SquaredNorm()), 1e-5 * whole.SquaredNorm());
            var norm = step == skipped ? double.NaN : Math.Sqrt(whole.SquaredNorm());

            var report = whole.Apply(step, norm, figures);
            Assert.All(parts, part => Assert.Equal(report, part.Apply(step, norm, figures)));
            HeldParts.Gather(parts);
            HeldParts.AssertAreThoseOf(whole, parts);
        }

        var evaluated = whole.Evaluate(DiscreteVaeTests.Pixels(3));
        foreach (var part in parts)
        {
            Assert.Equal(evaluated, part.Evaluate(DiscreteVaeTests.Pixels(3)));
            part.Dispose();
        }
    }

    [Fact]
    public void Step_WithRowsHeldElsewhere_IsRefused()
    {
        using var trainer = NewTrainer(Training, HeldParts.Rows(Network.Declare(Config), part: 0, parts: 2));
        Assert.Throws<InvalidOperationException>(() => trainer.Step(0, DiscreteVaeTests.Pixels(2)));
    }

    private static DiscreteVaeTrainer NewTrainer(DiscreteVaeTraining training, IReadOnlyDictionary<string, RowRange>? held = null, int workers = 1) =>
        new(Config, training, seed: 3, CPU, held, workers);

    // What a process that hosts all workers finds: the sum of their gradients, a copy.
    private static (Tensor Gradient, DiscreteVaeFigures Figures) Summed(DiscreteVaeTrainer trainer, int step, Tensor pixels, int workers)
    {
        var (sum, rows) = (zeros_like(trainer.Network.Gradient), BatchSize / workers);
        var figures = Enumerable.Range(0, workers).Select(worker =>
        {
            var share = trainer.Gradients(step, worker, BatchSize, pixels.narrow(0, worker * rows, rows), report: true)!.Value;
            sum.add_(trainer.Network.Gradient, One);
            return share;
        }).Aggregate((a, b) => a + b);
        return (sum, figures);
    }

    private static void AssertNear(Tensor expected, Tensor actual, string name)
    {
        var difference = (actual - expected).norm().item<float>() / expected.norm().item<float>();
        Assert.True(difference <= 1e-5, $"The gradient of {name} is off by {difference} of its norm.");
    }
}
