using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Prior;

public sealed class TransformerTests
{
    private static readonly TransformerConfig Config = new()
    {
        Layers = 4, Width = 32, Heads = 2, TextLength = 5, TextVocabulary = 16, GridSize = 4, ImageVocabulary = 32, ConvolutionKernel = 3,
    };

    // Numbers that the CPU kernels do not take: everything runs on libtorch's operations.
    private static readonly TransformerConfig Odd = Config with { Width = 24, Heads = 3, TextVocabulary = 11, ImageVocabulary = 7 };

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Gradients_EqualThoseLibtorchDerives(bool odd, bool recompute)
    {
        using var scope = NewDisposeScope();
        var config = odd ? Odd : Config;
        var (text, image) = Batch(config, 3);
        using var expected = Store(config, Precision.Float32);
        var (textLoss, imageLoss) = ReferencePrior.Losses(config, expected, text, image);
        textLoss.mul(Number(1.0 / 8)).add(imageLoss, Number(7.0 / 8)).backward();

        using var actual = Store(config, Precision.Float32);
        using var transformer = new Transformer(config, actual);
        var losses = transformer.AccumulateGradients(text, image, 1.0 / 8, recompute);

        Assert.Equal(textLoss.item<float>(), losses.Text, 1e-5);
        Assert.Equal(imageLoss.item<float>(), losses.Image, 1e-5);
        foreach (var spec in expected.Specs)
        {
            var difference = (expected.GradientOf(spec.Name) - actual.GradientOf(spec.Name)).abs().max().item<float>();
            Assert.True(difference < 1e-6, $"The gradient of '{spec.Name}' is off by {difference}.");
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Float16)]
    public void Gradients_WithRecomputation_AreTheSameToTheBit(Precision precision)
    {
        using var scope = NewDisposeScope();
        var (text, image) = Batch(Config, 3);
        byte[] Gradients(bool recompute)
        {
            using var parameters = Store(Config, precision);
            using var transformer = new Transformer(Config, parameters);
            transformer.AccumulateGradients(text, image, 1.0 / 8, recompute);
            parameters.CollectGradients();
            return parameters.Gradient.bytes.ToArray();
        }

        Assert.Equal(Gradients(recompute: false), Gradients(recompute: true));
    }

    [Fact]
    public void Loss_WithoutGradients_EqualsTheTrainingLoss()
    {
        using var scope = NewDisposeScope();
        var (text, image) = Batch(Config, 3);
        using var parameters = Store(Config, Precision.Float32);
        using var transformer = new Transformer(Config, parameters);
        var expected = transformer.AccumulateGradients(text, image, 1.0 / 8, recompute: false);
        var actual = transformer.Loss(text, image);
        Assert.Equal(expected.Text, actual.Text, 1e-6);
        Assert.Equal(expected.Image, actual.Image, 1e-6);
    }

    [Theory]
    [InlineData(Precision.BFloat16, 2e-3)]
    [InlineData(Precision.Float16, 3e-4)]
    public void Loss_InMixedPrecision_EqualsFloat32WithinNoise(Precision mixed, double tolerance)
    {
        using var scope = NewDisposeScope();
        var (text, image) = Batch(Config, 8);
        PriorLosses Loss(Precision precision)
        {
            using var parameters = Store(Config, precision);
            using var transformer = new Transformer(Config, parameters);
            return transformer.AccumulateGradients(text, image, 1.0 / 8, recompute: false);
        }

        Assert.Equal(Loss(Precision.Float32).Image, Loss(mixed).Image, tolerance);
        Assert.Equal(Loss(Precision.Float32).Text, Loss(mixed).Text, tolerance);
    }

    [Fact]
    public void Hidden_AtAPosition_DependsOnNoLaterToken()
    {
        using var scope = NewDisposeScope();
        var (text, image) = Batch(Config, 1);
        using var parameters = Store(Config, Precision.Float32);
        using var transformer = new Transformer(Config, parameters);
        var before = transformer.Hidden(text, image);
        image[0, 9] = image[0, 9].add(One, One).remainder(Number(Config.ImageVocabulary));
        var changed = (transformer.Hidden(text, image) - before).abs().sum(-1)[0].ne(Number(0)).nonzero().data<long>().ToArray();
        Assert.Equal(Config.TextLength + 9, changed.Min());
    }

    [Fact]
    public void Loss_OfABatchWithoutText_IsFinite()
    {
        using var scope = NewDisposeScope();
        var (text, image) = Batch(Config, 2);
        using var parameters = Store(Config, Precision.Float32);
        using var transformer = new Transformer(Config, parameters);
        var losses = transformer.AccumulateGradients(full_like(text, Number(-1)), image, 1.0 / 8, recompute: false);
        Assert.Equal(0, losses.Text);
        Assert.True(parameters.Gradient.isfinite().all().item<bool>());
    }

    [Fact]
    public void Hidden_OfAWrongLength_SaysWhatWasExpected()
    {
        using var scope = NewDisposeScope();
        using var parameters = Store(Config, Precision.Float32);
        using var transformer = new Transformer(Config, parameters);
        var error = Assert.Throws<ArgumentException>(() => transformer.Hidden(zeros(2, 5, dtype: ScalarType.Int64), zeros(2, 15, dtype: ScalarType.Int64)));
        Assert.Contains("[B, 16]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 15]", error.Message, StringComparison.Ordinal);
    }

    internal static ParameterStore Store(TransformerConfig config, Precision precision)
    {
        var parameters = new ParameterStore(TransformerParameters.Declare(config), precision, CPU, trains: true);
        parameters.Initialize(seed: 7);
        return parameters;
    }

    internal static (Tensor Text, Tensor Image) Batch(TransformerConfig config, int size, ulong seed = 1)
    {
        using var generator = new Generator(seed, CPU);
        var text = randint(0, config.TextVocabulary, [size, config.TextLength], generator: generator);
        var length = randint(1, config.TextLength + 1, [size, 1], generator: generator);
        var image = randint(0, config.ImageVocabulary, [size, config.ImageLength], generator: generator);
        return (text.masked_fill(arange(Number(0), Number(config.TextLength), One).ge(length), Number(-1)), image);
    }
}
