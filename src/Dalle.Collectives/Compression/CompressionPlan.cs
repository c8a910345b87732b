using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>
/// Which slices of a shard are compressed, and the layout of the flat buffers that travel between replicas. A pure function of shard and ranks, so replicas find the same.
/// </summary>
public sealed class CompressionPlan
{
    private const int BytesOfAnElement = sizeof(float);

    /// <param name="shard">What the ordinal holds.</param>
    /// <param name="settings">How far it is compressed.</param>
    /// <exception cref="ArgumentException">A rank is negative.</exception>
    public CompressionPlan(Shard shard, CompressionSettings settings)
    {
        (Shard, Settings) = (shard, settings);
        var ranked = shard.Slices.Where(slice => slice.Count > 0).Select(slice => (Slice: slice, Rank: settings.RankOf(slice))).ToArray();
        (Compressed, CompressedCount) = Pieces(ranked.Where(pair => pair.Rank > 0).Select(pair => pair.Slice));
        (Uncompressed, UncompressedCount) = Pieces(ranked.Where(pair => pair.Rank == 0).Select(pair => pair.Slice));

        (CompressedRuns, UncompressedRuns) = (Merge(Compressed), Merge(Uncompressed));
        Places = Compressed.Select(piece => (piece.Slice.Name, Place: (true, piece.Offset)))
            .Concat(Uncompressed.Select(piece => (piece.Slice.Name, Place: (false, piece.Offset))))
            .ToDictionary(pair => pair.Name, pair => pair.Place, StringComparer.Ordinal);
        var batches = new List<MatrixBatch>();
        var ranksByName = ranked.ToDictionary(pair => pair.Slice.Name, pair => pair.Rank, StringComparer.Ordinal);
        foreach (var group in Compressed.GroupBy(piece => (piece.Slice.Rows, Columns: piece.Slice.RowLength, Rank: ranksByName[piece.Slice.Name])))
        {
            var (rows, columns, rank) = group.Key;
            batches.Add(new(rows, columns, rank, [.. group.Select(piece => piece.Slice)], [.. group.Select(piece => piece.Offset)], LeftCount, FactorCount));
            LeftCount += batches[^1].LeftCount;
            FactorCount += batches[^1].RightCount;
        }

        Batches = batches;
    }

    public Shard Shard { get; }

    public CompressionSettings Settings { get; }

    /// <summary>Elements of the shard that are compressed: the length of an error buffer.</summary>
    public long CompressedCount { get; }

    /// <summary>Bytes of an error buffer.</summary>
    public long ErrorBytes => CompressedCount * ErrorBuffer.ElementBytes(Settings.ErrorFormat);

    /// <summary>Elements of the shard that travel as they are.</summary>
    public long UncompressedCount { get; }

    /// <summary>Elements of the first flat buffer: all left factors.</summary>
    public long LeftCount { get; }

    /// <summary>Elements of all right factors.</summary>
    public long FactorCount { get; }

    /// <summary>Elements of the second flat buffer: right factors, uncompressed gradients, and one that says whether all was finite.</summary>
    public long RightCount => FactorCount + UncompressedCount + 1;

    /// <summary>Bytes of gradients that an ordinal gives to one all-reduce over the replicas, in 32 bit, in one update; a ring of R replicas sends 2 (R - 1) / R times as many.</summary>
    public long BytesPerUpdate => (LeftCount + RightCount) * BytesOfAnElement;

    /// <summary>The same without compression.</summary>
    public long UncompressedBytesPerUpdate => (Shard.Count + 1) * BytesOfAnElement;

    /// <summary>The share of elements that compression saves among the matrices of resblocks, compressed or not; 0 without any. Comparable with the paper's rate, which leaves out all else.</summary>
    public double SavedOfWeights
    {
        get
        {
            var weights = Shard.Slices.Where(slice => slice.Kind == ParameterKind.Weight).Sum(slice => slice.Count);
            return weights == 0 ? 0 : (double)(CompressedCount - LeftCount - FactorCount) / weights;
        }
    }

    internal IReadOnlyList<MatrixBatch> Batches { get; }

    /// <summary>Slices and the elements before each in a buffer of all of them.</summary>
    internal IReadOnlyList<(ShardSlice Slice, long Offset)> Compressed { get; }

    /// <inheritdoc cref="Compressed"/>
    internal IReadOnlyList<(ShardSlice Slice, long Offset)> Uncompressed { get; }

    /// <summary>By name, whether a slice is compressed, and the elements before it in the buffer of those that are, or of those that are not. Empty slices have no place.</summary>
    internal IReadOnlyDictionary<string, (bool Compressed, long Offset)> Places { get; }

    /// <summary>Compressed slices that follow each other both in the shard and in their buffer, as one.</summary>
    internal IReadOnlyList<Run> CompressedRuns { get; }

    /// <inheritdoc cref="CompressedRuns"/>
    internal IReadOnlyList<Run> UncompressedRuns { get; }

    /// <summary>Copies of an error buffer the rows that another plan, of the same network, compresses too.</summary>
    /// <param name="error_C">This plan's error buffer, float32 <c>[n]</c>.</param>
    /// <param name="target">Another plan.</param>
    /// <param name="target_C">Its error buffer.</param>
    public void CopyRows(Tensor error_C, CompressionPlan target, Tensor target_C)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var offsets = Compressed.ToDictionary(piece => piece.Slice.Name, StringComparer.Ordinal);
        foreach (var (slice, offset) in target.Compressed)
        {
            if (!offsets.TryGetValue(slice.Name, out var own))
            {
                continue;
            }

            var first = Math.Max(slice.FirstRow, own.Slice.FirstRow);
            var count = (Math.Min(slice.FirstRow + slice.Rows, own.Slice.FirstRow + own.Slice.Rows) - first) * slice.RowLength;
            if (count > 0)
            {
                target_C.narrow(0, offset + ((first - slice.FirstRow) * slice.RowLength), count)
                    .copy_(error_C.narrow(0, own.Offset + ((first - own.Slice.FirstRow) * slice.RowLength), count));
            }
        }
    }

    private static List<Run> Merge(IReadOnlyList<(ShardSlice Slice, long Offset)> pieces)
    {
        var runs = new List<Run>();
        foreach (var (slice, offset) in pieces)
        {
            if (runs is [.., var last] && last.ShardOffset + last.Count == slice.Offset)
            {
                runs[^1] = last with { Count = last.Count + slice.Count };
            }
            else
            {
                runs.Add(new(slice.Offset, offset, slice.Count));
            }
        }

        return runs;
    }

    private static (IReadOnlyList<(ShardSlice Slice, long Offset)> Pieces, long Count) Pieces(IEnumerable<ShardSlice> slices)
    {
        var pieces = new List<(ShardSlice, long)>();
        long offset = 0;
        foreach (var slice in slices)
        {
            pieces.Add((slice, offset));
            offset += slice.Count;
        }

        return (pieces, offset);
    }
}

/// <summary>Elements that lie in one piece both in a shard and in another buffer.</summary>
/// <param name="ShardOffset">Elements before them in the shard.</param>
/// <param name="Offset">Elements before them in the other buffer.</param>
/// <param name="Count">How many.</param>
internal readonly record struct Run(long ShardOffset, long Offset, long Count);
