using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;

namespace Dalle.Collectives.Compression;

/// <summary>How far gradients are compressed, by which projections, and in which format what that leaves out is kept.</summary>
/// <param name="Rank">Columns of the factors of every compressed matrix (paper, table of compression ranks); 0 compresses nothing.</param>
/// <param name="Overrides">Other ranks for parameters by name; null for none.</param>
/// <param name="ProjectionUpdates">
/// Updates that a projection Q serves for; null, as in the paper, for the whole run. What an update leaves out lies across its projection (E Q = 0). While that stays, it comes back only
/// by directions that later gradients have of themselves, through their noise: of gradients that do not change, what is missing is missing for ever. New projections see it.
/// </param>
/// <param name="ErrorFormat">The format of error buffers.</param>
/// <param name="WarmUp">Updates before the first compressed one; 0, as in the paper, for none.</param>
public sealed record CompressionSettings(
    int Rank, IReadOnlyDictionary<string, int>? Overrides = null, int? ProjectionUpdates = null, ErrorFormat ErrorFormat = ErrorFormat.Float32, int WarmUp = 0)
{
    /// <summary>
    /// The rank a slice is compressed at; 0 where it is not: embeddings, unembeddings, gains and biases never are (paper, appendix E), nor are matrices whose
    /// factors would have as many elements as they have.
    /// </summary>
    /// <exception cref="ArgumentException">The rank is negative.</exception>
    public int RankOf(ShardSlice slice)
    {
        var rank = Overrides?.TryGetValue(slice.Name, out var other) == true ? other : Rank;
        return rank < 0
            ? throw new ArgumentException($"Expected a rank of at least 0 for '{slice.Name}', got {rank}.")
            : slice.Kind == ParameterKind.Weight && slice.Parameter.Shape.Length > 1 && Pays(rank, slice.Rows, slice.RowLength) ? rank : 0;
    }

    /// <summary>Whether two factors have fewer elements than the matrix. Only ranks below both dimensions do.</summary>
    public static bool Pays(int rank, long rows, long columns) => rank * (rows + columns) < rows * columns;
}
