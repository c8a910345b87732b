using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using TorchSharp;
using static TorchSharp.torch;
using Network = Dalle.Model.DiscreteVae.DiscreteVae;

namespace Dalle.Model.Tests.DiscreteVae;

public sealed class DiscreteVaeTests
{
    internal static readonly DiscreteVaeConfig Config = new()
    {
        ImageSize = 16, CodebookSize = 12, GroupWidths = [8, 16, 24], BlocksPerGroup = 2, CodeWidth = 8,
    };

    /// <summary>The networks as in the paper, and with other gains.</summary>
    public static TheoryData<DiscreteVaeConfig> Gains { get; } = [Config, Config with { ResidualGain = 0.5, LogitGain = 3, CodeGain = 4 }];

    [Theory]
    [InlineData("encoder.", 53_786_240)]
    [InlineData("decoder.", 43_829_766)]
    public void Declare_OfThePaper_HasItsParameterCounts(string network, long expected) => Assert.Equal(
        expected, Network.Declare(new DiscreteVaeConfig()).Where(spec => spec.Name.StartsWith(network, StringComparison.Ordinal)).Sum(spec => spec.Count));

    [Fact]
    public void Declare_OfThePaper_StartsAndScalesAsGiven()
    {
        var specs = Network.Declare(new DiscreteVaeConfig()).ToDictionary(spec => spec.Name);

        Assert.Equal(1.0 / Math.Sqrt(3 * 49), specs["encoder.blocks.input.w"].InitialDeviation, 12);
        Assert.Equal(0, specs["encoder.blocks.input.b"].InitialDeviation);
        Assert.Equal((1.0 / 64, 1, 1), (new DiscreteVaeConfig().ResidualGain, new DiscreteVaeConfig().LogitGain, new DiscreteVaeConfig().CodeGain));
        Assert.Equal([ParameterKind.FullPrecisionWeight, ParameterKind.FullPrecisionWeight],
            [specs["encoder.blocks.output.conv.w"].Kind, specs["decoder.blocks.input.w"].Kind]);
        Assert.Equal(2, specs.Values.Count(spec => spec.Kind == ParameterKind.FullPrecisionWeight));
    }

    [Theory]
    [MemberData(nameof(Gains))]
    public void Encode_EqualsTheObviousEncoder(DiscreteVaeConfig config)
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters(Precision.Float32);
        var pixels = Pixels(3);

        var expected = ReferenceDiscreteVae.Encode(config, parameters, pixels.@double()).to(ScalarType.Float32);

        Assert.Equal(expected.argmax(1).data<long>(), new Network(config, parameters).Encode(pixels).data<long>());
        Assert.True(expected.permute(0, 2, 3, 1).flatten(0, 2).allclose(new Encoder(config, parameters).Forward(pixels), 1e-4, 1e-5));
    }

    [Theory]
    [MemberData(nameof(Gains))]
    public void Decode_EqualsTheObviousDecoder(DiscreteVaeConfig config)
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters(Precision.Float32);
        var tokens = Tokens();
        var oneHot = nn.functional.one_hot(tokens, config.CodebookSize).to(ScalarType.Float32);

        var expected = ReferenceDiscreteVae.Decode(config, parameters, oneHot.permute(0, 3, 1, 2).@double()).to(ScalarType.Float32);

        Assert.True(expected.allclose(new Decoder(config, parameters).Forward(oneHot.flatten(0, 2)), 1e-4, 1e-5));
        Assert.True(expected.allclose(new Decoder(config, parameters).ForwardTokens(tokens.flatten()), 1e-4, 1e-5));
        Assert.True(LogitLaplace.Reconstruct(expected).allclose(new Network(config, parameters).Decode(tokens), 1e-4, 1e-5));
    }

    [Fact]
    public void Decode_InSixteenBits_StaysNear()
    {
        using var scope = NewDisposeScope();
        using var full = NewParameters(Precision.Float32);
        using var half = NewParameters(Precision.BFloat16);

        var difference = (new Network(Config, full).Decode(Tokens()) - new Network(Config, half).Decode(Tokens())).abs().max().item<float>();

        Assert.InRange(difference, 1e-6, 0.02);
    }

    [Fact]
    public void EncodeAndDecode_OfAnotherSize_AreRefused()
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters(Precision.Float32);
        var network = new Network(Config, parameters);

        Assert.Contains("[B, 3, 16, 16], got [1, 3, 8, 16]", Assert.Throws<ArgumentException>(() => network.Encode(zeros(1, 3, 8, 16))).Message);
        Assert.Contains("[B, 4, 4], got [1, 16]", Assert.Throws<ArgumentException>(() => network.Decode(zeros(1, 16, dtype: ScalarType.Int64))).Message);
    }

    [Theory]
    [InlineData(18, 12, 8, "ImageSize")]
    [InlineData(16, 1, 8, "CodebookSize")]
    [InlineData(16, 12, 6, "GroupWidths")]
    public void Declare_OfNumbersThatDoNotFit_NamesTheNumber(int imageSize, int codes, int width, string named) => Assert.Contains(named,
        Assert.Throws<ArgumentException>(() => Network.Declare(new DiscreteVaeConfig { ImageSize = imageSize, CodebookSize = codes, GroupWidths = [width, 8, 8] })).Message);

    internal static Tensor Pixels(int count, ulong seed = 5)
    {
        using var generator = new Generator(seed, CPU);
        return rand([count, 3, Config.ImageSize, Config.ImageSize], generator: generator);
    }

    private static Tensor Tokens()
    {
        using var generator = new Generator(6, CPU);
        return randint(0, Config.CodebookSize, [2, Config.GridSize, Config.GridSize], dtype: ScalarType.Int64, generator: generator);
    }

    private static ParameterStore NewParameters(Precision precision)
    {
        var parameters = new ParameterStore(Network.Declare(Config), precision, CPU, trains: false);
        parameters.Initialize(3);
        return parameters;
    }
}
