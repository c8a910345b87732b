using Dalle.Model.Parameters;

namespace Dalle.Collectives.Sharding;

/// <summary>The rows of one parameter array that one ordinal holds. A slice of a matrix is a matrix; an array with fewer rows than ordinals has empty slices.</summary>
/// <param name="Parameter">The whole array's declaration.</param>
/// <param name="Ordinal">Whose it is, counted from 0.</param>
/// <param name="FirstRow">Where it starts in the array's first dimension.</param>
/// <param name="Rows">How many rows it has; may be 0.</param>
/// <param name="Offset">Elements before it in the ordinal's flat buffer.</param>
public sealed record ShardSlice(ParameterSpec Parameter, int Ordinal, long FirstRow, long Rows, long Offset)
{
    /// <summary>The checkpoint key of the whole array.</summary>
    public string Name => Parameter.Name;

    public ParameterKind Kind => Parameter.Kind;

    /// <summary>Elements of one row: the product of all dimensions but the first.</summary>
    public long RowLength => Parameter.RowLength();

    /// <summary>Number of elements.</summary>
    public long Count => Rows * RowLength;

    /// <summary>Elements before it in the whole array, of which it is one contiguous piece: where a gathered slice is received.</summary>
    public long ArrayOffset => FirstRow * RowLength;

    /// <summary>The slice's dimensions: the array's, with fewer rows.</summary>
    public long[] Shape => [Rows, .. Parameter.Shape.AsSpan(1)];
}

/// <summary>An array as rows and what is in each.</summary>
internal static class Rows
{
    /// <summary>The first dimension.</summary>
    public static long RowCount(this ParameterSpec spec) => spec.Shape[0];

    /// <summary>The product of all dimensions but the first.</summary>
    public static long RowLength(this ParameterSpec spec) => spec.Count / spec.Shape[0];
}
