using Dalle.Collectives.Compression;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

public sealed class HouseholderTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(1, CPU);

    [Theory]
    [InlineData(3, 1, 5)]
    [InlineData(2, 4, 37)]
    [InlineData(8, 4, 256)]
    [InlineData(1, 16, 17)]
    public void Columns_OfThinMatrices_AreLapacks(int size, int rank, int length)
    {
        var matrices = randn([size, rank, length], generator: _random);
        var (own, lapack) = (matrices.clone(), matrices.clone());

        Householder.Orthonormalize(own, thin: true);
        Householder.Orthonormalize(lapack, thin: false);

        Assert.InRange((own - lapack).abs().max().item<float>(), 0, 2e-4);
        AssertOrthonormal(own);
    }

    // Gram-Schmidt gives no numbers, or columns far from orthogonal, for all of these.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Columns_ThatDependOnEachOther_OrAreZero_BecomeOrthonormal(bool thin)
    {
        var column = randn([64], generator: _random);
        var other = randn([64], generator: _random);
        var matrices = stack(
        [
            zeros(4, 64), stack([column, column, column, column]), stack([column, zeros(64), other, column]), stack([column, column.add(other, Number(1e-5)), other, column * Number(1e6)]),
            stack([column, other, column, other]) * Number(1e-12),
        ]);

        Householder.Orthonormalize(matrices, thin);

        AssertOrthonormal(matrices);
    }

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    private static void AssertOrthonormal(Tensor matrices_BKS) =>
        Assert.InRange((bmm(matrices_BKS, matrices_BKS.transpose(1, 2)) - eye(matrices_BKS.shape[1])).abs().max().item<float>(), 0, 3e-6);
}
