using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Safetensors;
using Dalle.Model.Tests.Native;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

/// <summary>Training in 16-bit floats of 5 exponent bits, under gradient scales.</summary>
public sealed class Float16TrainingTests : IDisposable
{
    private static readonly TransformerConfig Config = new()
    {
        Layers = 4, Width = 32, Heads = 2, TextLength = 5, TextVocabulary = 11, GridSize = 4, ImageVocabulary = 7, ConvolutionKernel = 3,
    };

    private static readonly PriorTraining Training = new() { LearningRate = 1e-2, WarmUp = 5, AverageEvery = 50, Recompute = false, Precision = Precision.Float16 };

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Losses_OfTheTestPreset_AreThoseOf32Bits()
    {
        using var one = new LibtorchThreads(1);
        List<PriorReport> Run(Precision precision)
        {
            var preset = Preset.Test;
            using var trainer = new PriorTrainer(preset.Transformer, preset.PriorTraining with { Precision = precision, LearningRate = 1e-2 }, seed: 3, CPU);
            var (text, image) = TransformerTests.Batch(preset.Transformer, 4);
            return [.. Enumerable.Range(0, 40).Select(step => trainer.Step(step, text, image)!)];
        }

        var (expected, actual) = (Run(Precision.Float32), Run(Precision.Float16));
        Assert.True(expected[^1].Loss < 0.5 * expected[0].Loss, $"The loss is still {expected[^1].Loss}.");
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 0.02 * pair.First.Loss));
        Assert.All(expected, report => Assert.Null(report.GradientScales));
        Assert.Equal(0, actual[^1].GradientScales!.SkippedUpdates);
        Assert.Equal(8192 * Math.Pow(2, 0.04), actual[^1].GradientScales!.Smallest, 1e-6);
    }

    // So large a scale that the sums over a batch overflow, though each number still fits.
    [Fact]
    public void Step_WithOneResblockThatOverflows_DividesItsScaleAndChangesNothingElse()
    {
        using var trainer = new PriorTrainer(Config, Training, seed: 3, CPU);
        var (text, image) = TransformerTests.Batch(Config, 4);
        trainer.Step(0, text, image);
        var scales = trainer.NamedState().Single(state => state.Name == "gradient_scales.scale").Tensor;
        var before = scales.data<double>().ToArray();
        before[3] = Math.ScaleB(1, 23);
        scales[3] = before[3];
        var others = Bytes(trainer);

        var report = trainer.Step(1, text, image)!;

        before[3] /= Math.Sqrt(2);
        Assert.Equal(before, scales.data<double>().ToArray());
        Assert.Equal(others, Bytes(trainer));
        Assert.False(double.IsFinite(report.GradientNorm));
        Assert.True(double.IsFinite(report.Loss));
        Assert.Equal(1, report.GradientScales!.SkippedUpdates);
        Assert.Equal(before[3], report.GradientScales.Largest);

        static List<string> Bytes(PriorTrainer trainer) =>
            [.. trainer.NamedState().Where(state => !state.Name.StartsWith("gradient_scales.", StringComparison.Ordinal)).Select(state => state.Name + Convert.ToHexString(state.Tensor.contiguous().bytes))];
    }

    // The division repeats, 125 updates apart, until the gradients fit; then training goes on.
    [Fact]
    public void Steps_AfterAnOverflow_GoOnOnceTheScaleFits()
    {
        using var trainer = new PriorTrainer(Config, Training, seed: 3, CPU);
        var (text, image) = TransformerTests.Batch(Config, 2);
        trainer.Step(0, text, image);
        using (var scales = trainer.NamedState().Single(state => state.Name == "gradient_scales.scale").Tensor)
        {
            scales[3] = Math.ScaleB(1, 23);
        }

        var step = 1;
        while (!double.IsFinite(trainer.Step(step, text, image)!.GradientNorm))
        {
            step += 125;
            Assert.True(step < 125 * 24, "The scale does not fall to where gradients fit.");
        }

        Assert.True(step > 1);
    }

    [Theory]
    [InlineData(Precision.Float32, 0)]
    [InlineData(Precision.BFloat16, 0)]
    [InlineData(Precision.Float16, 3)]
    public void NamedState_HasScalesOnlyWhereTheyAreUsed(Precision precision, int expected)
    {
        using var trainer = new PriorTrainer(Config, Training with { Precision = precision }, seed: 3, CPU);
        Assert.Equal(expected, trainer.NamedState().Count(state => state.Name.StartsWith("gradient_scales.", StringComparison.Ordinal)));
    }

    [Fact]
    public void AveragedWeights_AreEvaluatedIn16Bits()
    {
        using var trainer = new PriorTrainer(Config, Training, seed: 3, CPU);
        var (text, image) = TransformerTests.Batch(Config, 4);
        Assert.Equal(Math.Log(Config.ImageVocabulary), trainer.Evaluate(text, image).Image, 0.1);
        Assert.Equal(ScalarType.Float16, trainer.AveragedParameters["layers.0.mlp.up.weight"].dtype);
    }
}
