using Dalle.Collectives.Sharding;

namespace Dalle.Collectives.Compression;

/// <summary>Slices of one shape at one rank, factorised together: X = L R' of each, where the left factor is as long as X's shorter side (paper, appendix E).</summary>
/// <param name="Rows">Rows of each slice as it is stored.</param>
/// <param name="Columns">Columns of each slice as it is stored; a convolution kernel's are all its dimensions but the first.</param>
/// <param name="Rank">Columns of the factors.</param>
/// <param name="Slices">In the shard's order.</param>
/// <param name="Offsets">Elements before each slice in a buffer of all compressed slices.</param>
/// <param name="LeftOffset">Elements before the batch's left factors in the flat buffer of left factors.</param>
/// <param name="RightOffset">Elements before the batch's right factors in the flat buffer of right factors.</param>
internal sealed record MatrixBatch(
    long Rows, long Columns, int Rank, IReadOnlyList<ShardSlice> Slices, IReadOnlyList<long> Offsets, long LeftOffset, long RightOffset)
{
    /// <summary>Number of slices.</summary>
    public int Size => Slices.Count;

    /// <summary>Whether X is the transpose of what is stored.</summary>
    public bool Transposed => Rows > Columns;

    /// <summary>Length of the left factors' columns.</summary>
    public long Shorter => Math.Min(Rows, Columns);

    /// <summary>Length of the right factors' columns.</summary>
    public long Longer => Math.Max(Rows, Columns);

    /// <summary>Elements of all left factors.</summary>
    public long LeftCount => Size * Rank * Shorter;

    /// <summary>Elements of all right factors.</summary>
    public long RightCount => Size * Rank * Longer;

    /// <summary>Elements from one slice to the next in a buffer of all compressed slices; null where that differs.</summary>
    public long? Stride
    {
        get
        {
            var strides = Offsets.Zip(Offsets.Skip(1), (left, right) => right - left).Distinct().ToArray();
            return strides switch { [] => Rows * Columns, [var only] => only, _ => null };
        }
    }
}
