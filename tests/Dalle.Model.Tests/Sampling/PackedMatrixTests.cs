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
}
