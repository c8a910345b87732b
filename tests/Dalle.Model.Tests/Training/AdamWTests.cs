using Dalle.Model.Parameters;
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

        Assert.Equal(8, optimizer.Step(0, Rate), 5);

        Assert.Equal(0.1f, optimizer.Mean[0].item<float>(), 5);
    }

    [Fact]
    public void Step_WithAVarianceClip_UsesTheClippedVariance()
    {
        using var scope = NewDisposeScope();

        // Variance 0.01 * 100^2 = 100 is used as 0.01: the root of its unbiased value is 1.
        var (_, bias) = Run(new(0.9, 0.99, 0, 0, VarianceClip: 0.01), [100]);

        Assert.Equal(1 - (Rate * 100), bias, 3);
    }

    private static (double Weight, double Bias) Run(AdamWConfig config, double[] gradients)
    {
        using var parameters = NewParameters();
        using var optimizer = new AdamW(parameters, config);
        for (var step = 0; step < gradients.Length; step++)
        {
            parameters.Gradient.fill_(Number(gradients[step]));
            optimizer.Step(step, Rate);
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
