using Dalle.Model.Parameters;
using Dalle.Model.Tests.Parameters;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Training;

public sealed class AdamWTests
{
    private const double Rate = 0.1;

    private static readonly ParameterSpec[] Specs =
    [
        new("bias", ParameterKind.Bias, 0, 0, 2),
        new("weight", ParameterKind.Weight, 0, 0, 2),
    ];

    [Fact]
    public void Step_TwoUpdates_EqualTheFormula()
    {
        using var scope = NewDisposeScope();
        var config = new AdamWConfig(0.9, 0.99, 1e-8, WeightDecay: 0.5);
        double[] gradients = [0.3, -2];

        var actual = Run(config, gradients);

        double weight = 1, bias = 1, mean = 0, variance = 0;
        for (var step = 0; step < gradients.Length; step++)
        {
            mean = (0.9 * mean) + (0.1 * gradients[step]);
            variance = (0.99 * variance) + (0.01 * gradients[step] * gradients[step]);
            var change = Rate * (mean / (1 - Math.Pow(0.9, step + 1))) / (Math.Sqrt(variance / (1 - Math.Pow(0.99, step + 1))) + 1e-8);
            weight = (weight * (1 - (Rate * 0.5))) - change;
            bias -= change;
        }

        Assert.Equal(weight, actual.Weight, 5);
        Assert.Equal(bias, actual.Bias, 5);
    }

    [Fact]
    public void Step_WithAGradientClip_ScalesTheWholeGradient()
    {
        // One gradient of norm 4 x 2 = 8, clipped to 2: Adam's direction is the same, its moments are a quarter.
        using var scope = NewDisposeScope();
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, new(0.9, 0.99, 1e-8, 0, GradientClip: 2));
        parameters.Gradient.fill_(Number(4));

        Assert.Equal(8, Step(optimizer, 0), 5);

        Assert.Equal(0.1f, optimizer.Mean.Floats[0].item<float>(), 5);
    }

    // Four elements of 4 have a norm of 8; as part of a gradient of norm 16, clipped to 2, they become eighths.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Step_WithTheNormOfALargerGradient_IsClippedByThat(bool onePass)
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, new(0.9, 0.99, 1e-8, 0, GradientClip: 2), onePass);
        parameters.Gradient.fill_(Number(4));

        Assert.Equal(64, optimizer.SquaredNorm(), 5);
        optimizer.Step(0, Rate, norm: 16);

        Assert.Equal(0.05f, optimizer.Mean.Floats[0].item<float>(), 5);
    }

    [Fact]
    public void Step_WithAVarianceClip_UsesTheClippedVariance()
    {
        using var scope = NewDisposeScope();

        // Variance 0.01 * 100^2 = 100 is used as 0.01: the root of its unbiased value is 1.
        var (_, bias) = Run(new(0.9, 0.99, 0, 0, VarianceClip: 0.01), [100]);

        Assert.Equal(1 - (Rate * 100), bias, 3);
    }

    // The gradient of both is the same; of the weight alone the moments are codes.
    [Fact]
    public void Step_WithMomentsOf16Bits_KeepsThemForWeightsOnly()
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, Paper16);
        parameters.Gradient.fill_(Number(0.3));
        Step(optimizer, 0);

        var state = optimizer.NamedState().ToDictionary(item => item.Name, item => item.Tensor);
        Assert.Equal(0.03f, state["optimizer.mean.bias"][1].item<float>(), 1e-7f);
        Assert.Equal(0.0009f, state["optimizer.variance.bias"][1].item<float>(), 1e-9f);
        Assert.Equal(new ReferenceCode(signed: true).Encode(0.03f), (ushort)state["optimizer.mean.weight"][1].item<short>());
        Assert.Equal(new ReferenceCode(signed: false).Encode(0.0009f), (ushort)state["optimizer.variance.weight"][1].item<short>());
        Assert.Equal(parameters["bias"][0].item<float>(), parameters["weight"][0].item<float>());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SquaredNorm_OfAGradientThatIsNotFinite_IsNotFinite(bool onePass)
    {
        using var scope = NewDisposeScope();
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, Paper16, onePass);
        foreach (var value in (double[])[double.NaN, double.PositiveInfinity, double.NegativeInfinity])
        {
            parameters.Gradient.fill_(Number(0.7))[3] = (float)value;
            Assert.False(double.IsFinite(optimizer.SquaredNorm()));
        }
    }

    // Parts of a network: one of no weights, one of nothing at all.
    [Theory]
    [InlineData(2, true)]
    [InlineData(2, false)]
    [InlineData(0, true)]
    [InlineData(0, false)]
    public void Step_OfArraysWithoutRows_KeepsTheOthersAndTheFormats(int biases, bool onePass)
    {
        using var scope = NewDisposeScope();
        using var parameters = new ParameterStore([.. Specs.Select(spec => spec.WithRows(spec.Name == "bias" ? biases : 0))], Precision.Float32, CPU, trains: true);
        using var optimizer = new AdamW(parameters, Paper16 with { WeightDecay = 0.1, GradientClip = 1 }, onePass);
        parameters.Gradient.fill_(Number(3));

        Assert.Equal(9 * biases, optimizer.SquaredNorm(), 4);
        optimizer.Step(0, Rate, norm: 0.5);

        Assert.All(parameters.Master.data<float>().ToArray(), value => Assert.Equal(-Rate, value, 5));
        Assert.Equal(
            ["optimizer.mean.weight Int16 0", $"optimizer.mean.bias Float32 {biases}", "optimizer.variance.weight Int16 0", $"optimizer.variance.bias Float32 {biases}"],
            optimizer.NamedState().Select(item => $"{item.Name} {item.Tensor.dtype} {item.Tensor.numel()}"));
    }

    // Sums in another order may round to a neighbouring code, and the step then differs by as much.
    [Fact]
    public void Step_InLibtorchsOperations_IsTheKernels()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        ParameterSpec[] specs = [new("bias", ParameterKind.Bias, 0, 0, 21), new("weight", ParameterKind.Weight, 0, 0, 1003)];
        using ParameterStore kernels = new(specs, Precision.Float32, CPU, trains: true), operations = new(specs, Precision.Float32, CPU, trains: true);
        var config = Paper16 with { WeightDecay = 0.1, VarianceClip = 0.5, GradientClip = 20 };
        using AdamW onePass = new(kernels, config, onePass: true), many = new(operations, config, onePass: false);
        for (var step = 0; step < 20; step++)
        {
            kernels.Gradient.copy_(randn(kernels.Count, generator: generator).pow(Number(5)));
            operations.Gradient.copy_(kernels.Gradient);
            Assert.Equal(Step(onePass, step, 1e-3), Step(many, step, 1e-3), 1e-3);
        }

        Assert.True(kernels.Master.allclose(operations.Master, rtol: 1e-3, atol: 1e-5));
        Assert.True(Codes(onePass.Mean).sub(Codes(many.Mean)).abs().max().item<int>() <= 1);
        Assert.True(Codes(onePass.Variance).sub(Codes(many.Variance)).abs().max().item<int>() <= 1);

        static Tensor Codes(Moment moment) => moment.Codes.to(ScalarType.Int32);
    }

    private static AdamWConfig Paper16 { get; } = new(0.9, 0.99, 1e-8, 0, Moments: MomentFormat.Paper16);

    // By the gradient's own norm, which it returns.
    private static double Step(AdamW optimizer, int step, double rate = Rate)
    {
        var norm = Math.Sqrt(optimizer.SquaredNorm());
        optimizer.Step(step, rate, norm);
        return norm;
    }

    private static (double Weight, double Bias) Run(AdamWConfig config, double[] gradients)
    {
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, config);
        for (var step = 0; step < gradients.Length; step++)
        {
            parameters.Gradient.fill_(Number(gradients[step]));
            Step(optimizer, step);
        }

        return (parameters["weight"][0].item<float>(), parameters["bias"][0].item<float>());
    }

    private static ParameterStore NewParameters()
    {
        var parameters = new ParameterStore(Specs, Precision.Float32, CPU, trains: true);
        parameters.Master.fill_(One);
        return parameters;
    }
}
