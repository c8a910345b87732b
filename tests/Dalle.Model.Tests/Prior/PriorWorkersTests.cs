using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Tests.Native;
using Dalle.Model.Tests.Training;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

/// <summary>The two halves of an update, shared by workers.</summary>
public sealed class PriorWorkersTests : IDisposable
{
    private const int BatchSize = 8;

    private static readonly TransformerConfig Config = new()
    {
        Layers = 4, Width = 32, Heads = 2, TextLength = 5, TextVocabulary = 11, GridSize = 4, ImageVocabulary = 7, ConvolutionKernel = 3,
    };

    // A clip that the gradient meets, and within few updates steps of the average and halvings of the step size.
    private static readonly PriorTraining Training = new()
    {
        LearningRate = 1e-2, WarmUp = 3, AverageEvery = 2, Recompute = false, StartFromCodebook = true,
        Optimizer = new(0.9, 0.96, 1e-8, 4.5e-2, VarianceClip: 5, GradientClip: 0.5),
        Plateau = new(Halvings: 2, Patience: 2, Smoothing: 0, Improvement: 0.9),
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(2, Precision.Float32, 1e-5)]
    [InlineData(4, Precision.Float32, 1e-5)]
    [InlineData(4, Precision.Float16, 1e-2)]
    public void Gradients_OfWorkers_AddUpToTheBatchs(int workers, Precision precision, double tolerance)
    {
        using var one = NewTrainer(Training with { Precision = precision });
        using var many = NewTrainer(Training with { Precision = precision }, workers: workers);
        var (text, image) = Batch(seed: 1);

        var (expected, losses, _) = Summed(one, text, image, workers: 1);
        var (actual, sum, finite) = Summed(many, text, image, workers);

        Assert.Equal(losses.Text, sum.Text, tolerance);
        Assert.Equal(losses.Image, sum.Image, tolerance);
        Assert.Equal(precision == Precision.Float16 ? Enumerable.Repeat(true, 2 * Config.Layers) : null, finite);
        foreach (var spec in one.Network.Specs)
        {
            var array = one.Network.View(expected, spec.Name);
            var difference = (one.Network.View(actual, spec.Name) - array).norm().item<float>() / array.norm().item<float>();
            Assert.True(difference <= tolerance, $"The gradient of '{spec.Name}' is off by {difference} of its norm.");
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Float16)]
    public void Step_IsItsTwoHalves(Precision precision)
    {
        using var one = NewTrainer(Training with { Precision = precision });
        using var other = NewTrainer(Training with { Precision = precision });
        for (var step = 0; step < 5; step++)
        {
            var (text, image) = Batch(seed: (ulong)step);
            var expected = one.Step(step, text, image)!;

            var gradients = other.Gradients(text, image, PredictedTokens.Of(text, image));
            Assert.Equal(expected, other.Apply(step, Math.Sqrt(other.SquaredNorm()), gradients.Losses, gradients.Finite));
        }

        HeldParts.AssertAreThoseOf(one, [other]);
    }

    // Six parts of arrays of four, five and seven rows: some parts have none of them.
    [Theory]
    [InlineData(2, Precision.Float32, MomentFormat.Float32)]
    [InlineData(2, Precision.Float32, MomentFormat.Paper16)]
    [InlineData(6, Precision.BFloat16, MomentFormat.Float32)]
    [InlineData(6, Precision.BFloat16, MomentFormat.Paper16)]
    [InlineData(2, Precision.Float16, MomentFormat.Float32)]
    [InlineData(6, Precision.Float16, MomentFormat.Paper16)]
    public void Updates_OfHeldRows_AreThoseOfAllToTheBit(int count, Precision precision, MomentFormat moments)
    {
        const int workers = 2, skipped = 3;
        var training = Training with { Precision = precision, Optimizer = Training.Optimizer with { Moments = moments } };
        using var whole = NewTrainer(training, workers: workers);
        PriorTrainer[] parts = [.. Enumerable.Range(0, count).Select(part => NewTrainer(training, HeldParts.Rows(whole.Network.Specs, part, count), workers))];
        HeldParts.Gather(parts);
        HeldParts.AssertAreThoseOf(whole, parts);

        for (var step = 0; step < 6; step++)
        {
            var (text, image) = Batch(seed: (ulong)step);
            var (gradient, losses, finite) = Summed(whole, text, image, workers);
            using var exchange = new PartsExchange(whole, parts);
            var streamed = parts[^1].Gradients(Shares(text, image, workers), PredictedTokens.Of(text, image), exchange);
            Assert.Equal(losses, streamed.Select(worker => worker.Losses).Aggregate((a, b) => a + b));
            Assert.Equal(finite, AllFinite(streamed));
            Assert.True(gradient.bytes.SequenceEqual(exchange.Sum.bytes));

            whole.Held.Gradient.copy_(gradient);
            HeldParts.Scatter(whole, gradient, parts);
            Assert.Equal(whole.SquaredNorm(), parts.Sum(part => part.SquaredNorm()), 1e-5 * whole.SquaredNorm());
            var norm = step == skipped ? double.PositiveInfinity : Math.Sqrt(whole.SquaredNorm());
            finite = step == skipped && finite is not null ? [false, .. finite.Skip(1)] : finite;

            var report = whole.Apply(step, norm, losses, finite)!;
            Assert.All(parts, part => Assert.Equal(report, part.Apply(step, norm, losses, finite)));
            HeldParts.Gather(parts);
            HeldParts.AssertAreThoseOf(whole, parts);
        }

        var (heldOutText, heldOutImage) = Batch(seed: 100);
        var evaluated = whole.Evaluate(heldOutText, heldOutImage);
        foreach (var part in parts)
        {
            Assert.Equal(evaluated, part.Evaluate(heldOutText, heldOutImage));
            part.Dispose();
        }
    }

    // Two resblocks of 32 wide: attention 4 * 32^2 + 6 * 32, hidden layer 8 * 32^2 + 7 * 32 numbers. Matrices as bf16, with gradients of that format and of 32 bits; the rest 32-bit numbers and gradients.
    [Fact]
    public void Gradients_OfHeldRows_KeepTwoResblocks_AndNothingElse()
    {
        // Tensors are counted by thread.
        using var threads = new LibtorchThreads(1);
        using var whole = NewTrainer(Training with { Precision = Precision.BFloat16 });
        PriorTrainer[] parts = [.. Enumerable.Range(0, 2).Select(part => NewTrainer(Training with { Precision = Precision.BFloat16 }, HeldParts.Rows(whole.Network.Specs, part, 2)))];
        var (text, image) = Batch(seed: 1);
        var outside = parts[0].Network.Specs.Sum(spec => spec.Count);
        Assert.Equal((11 * 32) + (5 * 32 * 2) + (7 * 32) + (4 * 32 * 2) + (2 * 32) + (11 * 32) + (7 * 32), outside);
        Assert.Equal((8 * outside) + (12 * 32 * 32 * (2 + 2 + 4)) + (13 * 32 * 8), parts[0].WholeBytes);

        long before = 0;
        for (var step = 0; step < 3; step++)
        {
            using (NewDisposeScope())
            using (var exchange = new PartsExchange(whole, parts))
            {
                parts[0].Gradients([(text, image)], PredictedTokens.Of(text, image), exchange);
            }

            var live = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
            Assert.True(step < 2 || live == before, $"Expected {before} tensors to be left, got {live}.");
            before = live;
        }

        Assert.True(parts[0].WholeBytes < whole.WholeBytes / 3);
        Array.ForEach(parts, part => part.Dispose());
    }

    [Fact]
    public void Step_WithRowsHeldElsewhere_IsRefused()
    {
        using var trainer = NewTrainer(Training, HeldParts.Rows(TransformerParameters.Declare(Config), part: 0, parts: 2));
        var (text, image) = Batch(seed: 1);
        Assert.Throws<InvalidOperationException>(() => trainer.Step(0, text, image));
    }

    [Fact]
    public void Apply_WithAFiniteNormOfGradientsThatAreNot_IsRefusedAndChangesNothing()
    {
        using var trainer = NewTrainer(Training with { Precision = Precision.Float16 });
        using var untouched = NewTrainer(Training with { Precision = Precision.Float16 });
        var (text, image) = Batch(seed: 1);
        var gradients = trainer.Gradients(text, image, PredictedTokens.Of(text, image));

        Assert.Throws<ArgumentException>(() => trainer.Apply(0, norm: 1, gradients.Losses, [false, .. gradients.Finite!.Skip(1)]));
        Assert.Throws<ArgumentException>(() => trainer.Apply(0, norm: 1, gradients.Losses, finite: null));

        HeldParts.AssertAreThoseOf(untouched, [trainer]);
    }

    private static PriorTrainer NewTrainer(PriorTraining training, IReadOnlyDictionary<string, RowRange>? held = null, int workers = 1)
    {
        using var codebook_KD = ones(Config.ImageVocabulary, 2).cumsum(0);
        return new(Config, training, seed: 3, CPU, codebook_KD, held, workers);
    }

    // The captions' lengths differ; the last two, a worker's whole share where four share it, have no token to predict.
    private static (Tensor Text, Tensor Image) Batch(ulong seed)
    {
        var (text, image) = TransformerTests.Batch(Config, BatchSize, seed);
        text.narrow(0, BatchSize - 2, 2).narrow(1, 1, Config.TextLength - 1).fill_(Number(-1));
        return (text, image);
    }

    // What a process that hosts all workers finds: the sum of their gradients, a copy.
    private static (Tensor Gradient, PriorLosses Losses, IReadOnlyList<bool>? Finite) Summed(PriorTrainer trainer, Tensor text, Tensor image, int workers)
    {
        var (sum, whole) = (zeros_like(trainer.Network.Gradient), PredictedTokens.Of(text, image));
        var all = Shares(text, image, workers).Select(share =>
        {
            var gradients = trainer.Gradients(share.Text, share.Image, whole);
            sum.add_(trainer.Network.Gradient, One);
            return gradients;
        }).ToList();
        return (sum, all.Select(gradients => gradients.Losses).Aggregate((a, b) => a + b), AllFinite(all));
    }

    private static (Tensor Text, Tensor Image)[] Shares(Tensor text, Tensor image, int workers)
    {
        var rows = BatchSize / workers;
        return [.. Enumerable.Range(0, workers).Select(worker => (text.narrow(0, worker * rows, rows), image.narrow(0, worker * rows, rows)))];
    }

    private static List<bool>? AllFinite(IReadOnlyList<PriorGradients> workers) =>
        workers[0].Finite?.Select((_, resblock) => workers.All(gradients => gradients.Finite![resblock])).ToList();
}
