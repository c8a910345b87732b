using Dalle.Model.Kernels;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>The products of one batch's matrices with their factors: by kernels of our own where the factors are thin and lie on a CPU, else by libtorch's batched products.</summary>
internal sealed class LowRankProducts(MatrixBatch batch, bool thin)
{
    /// <summary>Above this libtorch's matrix products are faster than one pass over the matrix for each few columns.</summary>
    public const int LargestRankOfKernels = 16;

    // Shape suffixes: B matrices of the batch, K rank, S shorter and L longer side, X rows and Y columns as stored.

    /// <summary>The batch's left factors, a column after the other: <c>[B, K, S]</c> of the flat buffer.</summary>
    private Tensor LeftOf(Tensor left_K) => left_K.narrow(0, batch.LeftOffset, batch.LeftCount).view(batch.Size, batch.Rank, batch.Shorter);

    /// <summary>The batch's right factors, likewise: <c>[B, K, L]</c>.</summary>
    private Tensor RightOf(Tensor right_M) => right_M.narrow(0, batch.RightOffset, batch.RightCount).view(batch.Size, batch.Rank, batch.Longer);

    /// <summary>Makes the left factors orthonormal.</summary>
    public void OrthonormalizeLeft(Tensor left_K) => Householder.Orthonormalize(LeftOf(left_K), thin);

    /// <summary>Left factors of the matrices and their right ones.</summary>
    public void MultiplyByRight(Tensor matrices_C, Tensor right_M, Tensor left_K)
    {
        if (SuitsKernels(matrices_C))
        {
            var operands = Operands(matrices_C, left_K, right_M);
            if (batch.Transposed)
            {
                LowRankKernel.MultiplyColumns(operands);
            }
            else
            {
                LowRankKernel.MultiplyRows(operands);
            }

            return;
        }

        foreach (var (first, x_BSL) in Views(matrices_C))
        {
            var size = x_BSL.shape[0];
            LeftOf(left_K).narrow(0, first, size).copy_(bmm(RightOf(right_M).narrow(0, first, size), x_BSL.transpose(1, 2)));
        }
    }

    /// <summary>Right factors of the matrices and their left ones.</summary>
    public void MultiplyByLeft(Tensor matrices_C, Tensor left_K, Tensor right_M)
    {
        if (SuitsKernels(matrices_C))
        {
            var operands = Operands(matrices_C, left_K, right_M);
            if (batch.Transposed)
            {
                LowRankKernel.MultiplyRows(operands);
            }
            else
            {
                LowRankKernel.MultiplyColumns(operands);
            }

            return;
        }

        foreach (var (first, x_BSL) in Views(matrices_C))
        {
            var size = x_BSL.shape[0];
            RightOf(right_M).narrow(0, first, size).copy_(bmm(LeftOf(left_K).narrow(0, first, size), x_BSL));
        }
    }

    /// <summary>Writes the products of the factors into a buffer laid out as the shard, and takes them from the matrices, which become 0 where they are not finite then.</summary>
    public void Subtract(Tensor matrices_C, Tensor left_K, Tensor right_M, Tensor target_N)
    {
        if (SuitsKernels(matrices_C))
        {
            var targets = TensorMemoryAddress(target_N);
            LowRankKernel.Subtract(Operands(matrices_C, left_K, right_M), [.. batch.Slices.Select(slice => targets + (nint)(slice.Offset * sizeof(float)))]);
            return;
        }

        var (left_BKS, right_BKL) = (LeftOf(left_K), RightOf(right_M));
        for (var i = 0; i < batch.Size; i++)
        {
            var (rows_KX, columns_KY) = batch.Transposed ? (right_BKL[i], left_BKS[i]) : (left_BKS[i], right_BKL[i]);
            var product_XY = rows_KX.t().matmul(columns_KY);
            target_N.narrow(0, batch.Slices[i].Offset, product_XY.numel()).copy_(product_XY.view(-1));
            matrices_C.narrow(0, batch.Offsets[i], product_XY.numel()).sub_(product_XY.view(-1)).nan_to_num_(0, 0, 0);
        }
    }

    private bool SuitsKernels(Tensor matrices_C) => thin && TensorMemory.SuitsKernelsElementwise(matrices_C);

    private static unsafe nint TensorMemoryAddress(Tensor tensor) => (nint)TensorMemory.Pointer<float>(tensor);

    private LowRankKernel.Operands Operands(Tensor matrices_C, Tensor left_K, Tensor right_M)
    {
        var left = TensorMemoryAddress(left_K) + (nint)(batch.LeftOffset * sizeof(float));
        var right = TensorMemoryAddress(right_M) + (nint)(batch.RightOffset * sizeof(float));
        var (a, b) = batch.Transposed ? (right, left) : (left, right);
        return new(TensorMemoryAddress(matrices_C), batch.Offsets, batch.Rows, batch.Columns, batch.Rank, a, b);
    }

    /// <summary>The matrices, transposed where need be so that rows are the shorter side, without a copy: all at once where they lie equally far apart, as those of a network's layers do.</summary>
    private IEnumerable<(int First, Tensor X_BSL)> Views(Tensor matrices_C)
    {
        var (size, stride) = batch.Stride is { } equal ? (batch.Size, equal) : (1, batch.Rows * batch.Columns);
        for (var first = 0; first < batch.Size; first += size)
        {
            var x_BXY = matrices_C.as_strided([size, batch.Rows, batch.Columns], [stride, batch.Columns, 1], matrices_C.storage_offset() + batch.Offsets[first]);
            yield return (first, batch.Transposed ? x_BXY.transpose(1, 2) : x_BXY);
        }
    }
}
