using Dalle.Model.Sampling;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Sampling;

public sealed unsafe class PackedMatrixTests
{
    [Theory]
    [InlineData(64, 32, 1, ScalarType.Float32)]
    [InlineData(80, 33, 6, ScalarType.Float32)]
    [InlineData(200, 7, 4, ScalarType.Float32)]
    [InlineData(64, 32, 1, ScalarType.BFloat16)]
    [InlineData(80, 33, 6, ScalarType.BFloat16)]
    public void Multiply_AllTiles_EqualsTheProduct(int outputs, int inputs, int rows, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        var weight = randn(outputs, inputs, generator: generator).to(type);
        var bias = randn(outputs, generator: generator);
        var x = randn(rows, inputs, generator: generator);
        var expected = x.to(ScalarType.Float64).matmul(weight.to(ScalarType.Float64).t()).add(bias, One).to(ScalarType.Float32).data<float>().ToArray();
        using var matrix = new PackedMatrix(weight, bias);
        var result = new float[rows * matrix.PaddedOutputs];

        fixed (float* from = x.data<float>().ToArray(), to = result)
        {
            matrix.Multiply(from, inputs, rows, to, matrix.PaddedOutputs, 0, 1);
            matrix.Multiply(from, inputs, rows, to, matrix.PaddedOutputs, 1, matrix.Tiles);
        }

        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], result[(i / outputs * matrix.PaddedOutputs) + (i % outputs)], 1e-4f);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32, SamplingWeights.AsTrained)]
    [InlineData(ScalarType.BFloat16, SamplingWeights.AsTrained)]
    [InlineData(ScalarType.Float32, SamplingWeights.EightBit)]
    [InlineData(ScalarType.BFloat16, SamplingWeights.EightBit)]
    public void Multiply_InShorterVectors_GivesTheSameBits(ScalarType type, SamplingWeights weights)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2, CPU);
        var (weight, bias) = (randn(80, 33, generator: generator).to(type), randn(80, generator: generator));
        var x = randn(7, 33, generator: generator).data<float>().ToArray();

        Assert.Equal(Products(weight, bias, x, 7, weights, wide: true), Products(weight, bias, x, 7, weights, wide: false));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    public void Multiply_OfEightBits_EqualsTheProductWithTheRoundedWeights(int rows)
    {
        const int Outputs = 80, Inputs = 33;
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var weight = randn(Outputs, Inputs, generator: generator);
        weight[5].zero_();
        var (bias, x) = (randn(Outputs, generator: generator), randn(rows, Inputs, generator: generator));
        var (weights, inputs, biases) = (weight.data<float>().ToArray(), x.data<float>().ToArray(), bias.data<float>().ToArray());

        var result = Products(weight, bias, inputs, rows, SamplingWeights.EightBit, wide: null);

        for (var row = 0; row < rows; row++)
        {
            for (var output = 0; output < Outputs; output++)
            {
                var own = weights.AsSpan(output * Inputs, Inputs).ToArray();
                var step = own.Max(Math.Abs) is var largest and > 0 ? largest / 127.0 : 1;
                var expected = biases[output] + own.Select((value, i) => Math.Round(value / step) * step * inputs[(row * Inputs) + i]).Sum();
                Assert.Equal(expected, result[(row * Outputs) + output], 1e-4);
            }
        }
    }

    private static float[] Products(Tensor weight, Tensor bias, float[] x, int rows, SamplingWeights weights, bool? wide)
    {
        using var matrix = new PackedMatrix(weight, bias, weights, wide);
        var result = new float[rows * matrix.PaddedOutputs];
        fixed (float* from = x, to = result)
        {
            matrix.Multiply(from, matrix.Inputs, rows, to, matrix.PaddedOutputs, 0, matrix.Tiles);
        }

        return [.. Enumerable.Range(0, rows).SelectMany(row => result[(row * matrix.PaddedOutputs)..((row * matrix.PaddedOutputs) + matrix.Outputs)])];
    }
}
