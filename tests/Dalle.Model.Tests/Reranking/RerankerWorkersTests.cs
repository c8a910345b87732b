using Dalle.Model.Parameters;
using Dalle.Model.Reranking;
using Dalle.Model.Tests.Training;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Reranking;

/// <summary>The two halves of an update, shared by workers.</summary>
public sealed class RerankerWorkersTests : IDisposable
{
    private const int BatchSize = 6;

    private static readonly RerankerTraining Training = new()
    {
        Updates = 40, BatchSize = BatchSize, LearningRate = 3e-3, WarmUp = 5, AverageDecay = 0.9, Recompute = false, Precision = Precision.Float32,
    };

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    // A pair's negatives are its worker's: what a worker adds is its share of the loss of its rows as a batch of their own.
    [Fact]
    public void Gradients_OfAWorker_AreItsShareOfThoseOfItsRowsAlone()
    {
        using var trainer = NewTrainer(Training);
        var (pixels, text) = (RerankerTests.Pixels(2), RerankerTests.Text(2));

        var alone = trainer.Gradients(2, pixels, text);
        var expected = trainer.Network.Gradient.div(Number(3));
        var share = trainer.Gradients(BatchSize, pixels, text);

        Assert.Equal(alone / 3, share, 1e-6);
        Assert.True((expected - trainer.Network.Gradient).norm().item<float>() <= 1e-5 * expected.norm().item<float>());
    }

    [Theory]
    [InlineData(2, Precision.Float32, MomentFormat.Float32)]
    [InlineData(7, Precision.Float32, MomentFormat.Paper16)]
    [InlineData(7, Precision.BFloat16, MomentFormat.Float32)]
    public void Updates_OfHeldRows_AreThoseOfAllToTheBit(int count, Precision precision, MomentFormat moments)
    {
        const int Skipped = 2;
        var training = Training with { Precision = precision, Optimizer = Training.Optimizer with { Moments = moments, GradientClip = 0.1 } };
        using var whole = NewTrainer(training);
        RerankerTrainer[] parts = [.. Enumerable.Range(0, count).Select(part => NewTrainer(training, HeldParts.Rows(whole.Network.Specs, part, count)))];

        // Beyond where it is kept, for the first update to bring it back wherever its row is held.
        foreach (var held in parts.Append(whole))
        {
            held.Held.View(held.Held.Master, "log_scale").fill_(Number(4.7));
        }

        HeldParts.Gather(parts);
        for (var step = 0; step < 4; step++)
        {
            var (pixels, text) = (RerankerTests.Pixels(BatchSize, (ulong)step), RerankerTests.Text(BatchSize));
            var (gradient, loss) = Summed(whole, pixels, text);
            var (same, sameLoss) = Summed(parts[^1], pixels, text);
            Assert.Equal(loss, sameLoss);
            Assert.True(gradient.bytes.SequenceEqual(same.bytes));

            whole.Held.Gradient.copy_(gradient);
            HeldParts.Scatter(whole, gradient, parts);
            var norm = step == Skipped ? double.NaN : Math.Sqrt(whole.SquaredNorm());
            var report = whole.Apply(step, norm, loss);
            Assert.All(parts, part => Assert.Equal(report, part.Apply(step, norm, loss)));
            HeldParts.Gather(parts);
            HeldParts.AssertAreThoseOf(whole, parts);
        }

        Assert.Equal(0.01, whole.Apply(4, double.NaN, 1)!.Temperature, 5e-5);
        foreach (var part in parts)
        {
            part.Dispose();
        }
    }

    [Fact]
    public void Step_WithRowsHeldElsewhere_IsRefused()
    {
        using var trainer = NewTrainer(Training, HeldParts.Rows(RerankerParameters.Declare(RerankerTests.Config), part: 0, parts: 2));
        Assert.Throws<InvalidOperationException>(() => trainer.Step(0, RerankerTests.Pixels(2), RerankerTests.Text(2)));
    }

    private static RerankerTrainer NewTrainer(RerankerTraining training, IReadOnlyDictionary<string, RowRange>? held = null) => new(RerankerTests.Config, training, seed: 3, CPU, held);

    // What a process that hosts three workers finds: the sum of their gradients, a copy.
    private static (Tensor Gradient, double Loss) Summed(RerankerTrainer trainer, Tensor pixels, Tensor text)
    {
        var (sum, loss) = (zeros_like(trainer.Network.Gradient), 0.0);
        for (var row = 0; row < BatchSize; row += 2)
        {
            loss += trainer.Gradients(BatchSize, pixels.narrow(0, row, 2), text.narrow(0, row, 2));
            sum.add_(trainer.Network.Gradient, One);
        }

        return (sum, loss);
    }
}
