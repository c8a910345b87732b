using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dalle.Model.Kernels;

namespace Dalle.Collectives.Compression;

/// <summary>
/// Products of matrices with thin factors on the CPU, each in one pass over the matrix: matrix products of a library are made for thicker ones. Both factors of a matrix
/// X [rows, columns] are stored a column after the other: A [rank, rows] and B [rank, columns].
/// </summary>
/// <remarks>Every number is added up in an order that the shape alone decides, whatever the number of threads.</remarks>
internal static unsafe class LowRankKernel
{
    private const int RowsOfAPart = 32, ColumnsOfAPart = 256, Group = 4;

    /// <summary>A batch's matrices and where their factors are.</summary>
    /// <param name="Matrices">Address of the buffer that holds the matrices.</param>
    /// <param name="Offsets">Elements before each matrix in it.</param>
    /// <param name="Rows">Of each.</param>
    /// <param name="Columns">Of each.</param>
    /// <param name="Rank">Of the factors.</param>
    /// <param name="A">Address of the first matrix' A; the others follow.</param>
    /// <param name="B">Address of the first matrix' B; the others follow.</param>
    public sealed record Operands(nint Matrices, IReadOnlyList<long> Offsets, long Rows, long Columns, int Rank, nint A, nint B)
    {
        internal float* X(int matrix) => (float*)Matrices + Offsets[matrix];

        internal float* AOf(int matrix) => (float*)A + (matrix * Rank * Rows);

        internal float* BOf(int matrix) => (float*)B + (matrix * Rank * Columns);
    }

    /// <summary>A = X B of every matrix.</summary>
    public static void MultiplyRows(Operands operands) => Run(operands, operands.Rows, RowsOfAPart, Vector512.IsHardwareAccelerated ? MultiplyRows<Lanes16> : MultiplyRows<Lanes8>);

    /// <summary>B = X' A of every matrix.</summary>
    public static void MultiplyColumns(Operands operands) =>
        Run(operands, operands.Columns, ColumnsOfAPart, Vector512.IsHardwareAccelerated ? MultiplyColumns<Lanes16> : MultiplyColumns<Lanes8>);

    /// <summary>Writes A B' of every matrix, and takes it from X, which becomes 0 where it is not finite then.</summary>
    /// <param name="operands">The matrices and their factors.</param>
    /// <param name="targets">Where each product goes.</param>
    public static void Subtract(Operands operands, nint[] targets)
    {
        Part part = Vector512.IsHardwareAccelerated ? (o, m, start, end) => Subtract<Lanes16>(o, m, (float*)targets[m], start, end) : (o, m, start, end) => Subtract<Lanes8>(o, m, (float*)targets[m], start, end);
        Run(operands, operands.Rows, RowsOfAPart, part);
    }

    private delegate void Part(Operands operands, int matrix, long start, long end);

    private static void Run(Operands operands, long length, int lengthOfAPart, Part part)
    {
        var parts = (int)((length + lengthOfAPart - 1) / lengthOfAPart);
        CpuTeam.Run(operands.Offsets.Count * parts, at =>
        {
            var start = at % parts * (long)lengthOfAPart;
            part(operands, at / parts, start, Math.Min(length, start + lengthOfAPart));
        });
    }

    private static void MultiplyRows<TLanes>(Operands operands, int matrix, long start, long end)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var (columns, rows, rank) = (operands.Columns, operands.Rows, operands.Rank);
        float* x = operands.X(matrix), a = operands.AOf(matrix), b = operands.BOf(matrix);
        for (var i = start; i < end; i += 2)
        {
            // The last row of an odd number is done twice, which changes nothing.
            var j = Math.Min(i + 1, end - 1);
            var k = 0;
            for (; k <= rank - Group; k += Group)
            {
                Dot4<TLanes>(x + (i * columns), x + (j * columns), b + (k * columns), columns, a + (k * rows) + i, a + (k * rows) + j, rows);
            }

            for (; k < rank; k++)
            {
                a[(k * rows) + i] = Dot<TLanes>(x + (i * columns), b + (k * columns), columns);
                a[(k * rows) + j] = Dot<TLanes>(x + (j * columns), b + (k * columns), columns);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot4<TLanes>(float* x, float* y, float* b, long count, float* xResult, float* yResult, long stride)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes x0 = default, x1 = default, x2 = default, x3 = default, y0 = default, y1 = default, y2 = default, y3 = default;
        float* b1 = b + count, b2 = b1 + count, b3 = b2 + count;
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TLanes left = TLanes.Load(x + i), right = TLanes.Load(y + i), factor = TLanes.Load(b + i);
            x0.AddProduct(left, factor);
            y0.AddProduct(right, factor);
            factor = TLanes.Load(b1 + i);
            x1.AddProduct(left, factor);
            y1.AddProduct(right, factor);
            factor = TLanes.Load(b2 + i);
            x2.AddProduct(left, factor);
            y2.AddProduct(right, factor);
            factor = TLanes.Load(b3 + i);
            x3.AddProduct(left, factor);
            y3.AddProduct(right, factor);
        }

        xResult[0] = TLanes.Sum(x0) + Dot(x, b, i, count);
        xResult[stride] = TLanes.Sum(x1) + Dot(x, b1, i, count);
        xResult[2 * stride] = TLanes.Sum(x2) + Dot(x, b2, i, count);
        xResult[3 * stride] = TLanes.Sum(x3) + Dot(x, b3, i, count);
        yResult[0] = TLanes.Sum(y0) + Dot(y, b, i, count);
        yResult[stride] = TLanes.Sum(y1) + Dot(y, b1, i, count);
        yResult[2 * stride] = TLanes.Sum(y2) + Dot(y, b2, i, count);
        yResult[3 * stride] = TLanes.Sum(y3) + Dot(y, b3, i, count);
    }

    private static float Dot<TLanes>(float* x, float* b, long count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes sum = default;
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            sum.AddProduct(TLanes.Load(x + i), TLanes.Load(b + i));
        }

        return TLanes.Sum(sum) + Dot(x, b, i, count);
    }

    private static float Dot(float* x, float* b, long start, long end)
    {
        float sum = 0;
        for (var i = start; i < end; i++)
        {
            sum = MathF.FusedMultiplyAdd(x[i], b[i], sum);
        }

        return sum;
    }

    private static void MultiplyColumns<TLanes>(Operands operands, int matrix, long start, long end)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var (columns, rows, rank) = (operands.Columns, operands.Rows, operands.Rank);
        float* x = operands.X(matrix) + start, a = operands.AOf(matrix), b = operands.BOf(matrix) + start;
        for (var k = 0; k < rank; k++)
        {
            new Span<float>(b + (k * columns), (int)(end - start)).Clear();
        }

        for (long i = 0; i < rows; i += 2)
        {
            // An odd number of rows ends with one that counts for nothing.
            var j = Math.Min(i + 1, rows - 1);
            for (var k = 0; k < rank; k++)
            {
                AddRows<TLanes>(b + (k * columns), x + (i * columns), x + (j * columns), a[(k * rows) + i], j == i ? 0 : a[(k * rows) + j], end - start);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRows<TLanes>(float* target, float* x, float* y, float xFactor, float yFactor, long count)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes left = TLanes.Create(xFactor), right = TLanes.Create(yFactor);
        long i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var sum = TLanes.Load(target + i);
            sum.AddProduct(TLanes.Load(x + i), left);
            sum.AddProduct(TLanes.Load(y + i), right);
            sum.Store(target + i);
        }

        for (; i < count; i++)
        {
            target[i] = MathF.FusedMultiplyAdd(y[i], yFactor, MathF.FusedMultiplyAdd(x[i], xFactor, target[i]));
        }
    }

    private static void Subtract<TLanes>(Operands operands, int matrix, float* target, long start, long end)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        var (columns, rows, rank) = (operands.Columns, operands.Rows, operands.Rank);
        for (var i = start; i < end; i++)
        {
            var row = operands.X(matrix) + (i * columns);
            if (!Subtract<TLanes>(row, operands.AOf(matrix) + i, rows, operands.BOf(matrix), rank, target + (i * columns), columns))
            {
                for (long j = 0; j < columns; j++)
                {
                    row[j] = float.IsFinite(row[j]) ? row[j] : 0;
                }
            }
        }
    }

    // Whether what is left of the row is finite: a finite number times 0 is 0, any other is no number.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Subtract<TLanes>(float* row, float* a, long rows, float* b, int rank, float* target, long columns)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes zero = default, check = default;
        long j = 0;
        for (; j <= columns - (2 * TLanes.Count); j += 2 * TLanes.Count)
        {
            TLanes left = default, right = default;
            for (var k = 0; k < rank; k++)
            {
                var factor = TLanes.Create(a[k * rows]);
                left.AddProduct(factor, TLanes.Load(b + (k * columns) + j));
                right.AddProduct(factor, TLanes.Load(b + (k * columns) + j + TLanes.Count));
            }

            left.Store(target + j);
            right.Store(target + j + TLanes.Count);
            left = TLanes.Load(row + j) - left;
            right = TLanes.Load(row + j + TLanes.Count) - right;
            left.Store(row + j);
            right.Store(row + j + TLanes.Count);
            check.AddProduct(left, zero);
            check.AddProduct(right, zero);
        }

        var rest = TLanes.Sum(check);
        for (; j < columns; j++)
        {
            float sum = 0;
            for (var k = 0; k < rank; k++)
            {
                sum = MathF.FusedMultiplyAdd(a[k * rows], b[(k * columns) + j], sum);
            }

            target[j] = sum;
            row[j] -= sum;
            rest += row[j] * 0;
        }

        return rest == 0;
    }
}
