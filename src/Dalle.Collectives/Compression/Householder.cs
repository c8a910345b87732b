using Dalle.Model.Kernels;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Dalle.Collectives.Compression;

/// <summary>Orthonormal columns by Householder reflections (paper, appendix E: Gram-Schmidt is unstable here). Signs are LAPACK's.</summary>
internal static class Householder
{
    private const double Ridge = 1e-6;

    /// <summary>Replaces matrices P by the orthonormal factor of P + 1e-6 I.</summary>
    /// <param name="matrices_BKS">A batch, each a column after the other, contiguous.</param>
    /// <param name="thin">Whether few columns make it not worth to call LAPACK, on a CPU.</param>
    public static void Orthonormalize(Tensor matrices_BKS, bool thin)
    {
        var (size, rank, length) = ((int)matrices_BKS.shape[0], (int)matrices_BKS.shape[1], (int)matrices_BKS.shape[2]);
        matrices_BKS.add_(eye(rank, length, device: matrices_BKS.device), Number(Ridge));
        if (thin && TensorMemory.SuitsKernelsElementwise(matrices_BKS))
        {
            OnTheCpu(matrices_BKS, size, rank, length);
            return;
        }

        var (orthonormal_BSK, _) = linalg.qr(matrices_BKS.transpose(1, 2));
        matrices_BKS.copy_(orthonormal_BSK.transpose(1, 2));
    }

    private static unsafe void OnTheCpu(Tensor matrices_BKS, int size, int rank, int length)
    {
        var first = TensorMemory.Pointer<float>(matrices_BKS);
        CpuTeam.Run(size, matrix => Orthonormalize(new Span<float>(first + ((long)matrix * rank * length), rank * length), rank, length));
    }

    // Column k becomes the vector of reflection k, in its rows from k on, as columns to its right are reflected; then, from the last to the first, the reflections of unit vectors.
    private static void Orthonormalize(Span<float> matrix, int rank, int length)
    {
        Span<float> factors = stackalloc float[rank];
        for (var k = 0; k < rank; k++)
        {
            var vector = matrix.Slice((k * length) + k, length - k);
            var norm = TensorPrimitives.Norm<float>(vector);
            vector[0] += vector[0] < 0 ? -norm : norm;

            // A column of zeros needs no reflection.
            factors[k] = norm == 0 ? 0 : -2 / TensorPrimitives.Dot<float>(vector, vector);
            for (var j = k + 1; j < rank; j++)
            {
                Reflect(vector, factors[k], matrix.Slice((j * length) + k, length - k));
            }
        }

        for (var k = rank - 1; k >= 0; k--)
        {
            var column = matrix.Slice(k * length, length);
            var vector = column[k..];
            for (var j = k + 1; j < rank; j++)
            {
                Reflect(vector, factors[k], matrix.Slice((j * length) + k, length - k));
            }

            TensorPrimitives.Multiply(vector, factors[k] * vector[0], vector);
            vector[0] += 1;
            column[..k].Clear();
        }
    }

    private static void Reflect(ReadOnlySpan<float> vector, float factor, Span<float> column) =>
        TensorPrimitives.MultiplyAdd(vector, factor * TensorPrimitives.Dot(vector, column), column, column);
}
