using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Updates;
using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>
/// The error buffers in a checkpoint: of each ordinal the sum over its replicas, or, where the job was stopped between two scheduled checkpoints, each worker's own. It may have been written
/// by another number of workers.
/// </summary>
/// <param name="reader">The checkpoint.</param>
/// <param name="grid">The workers that are to go on.</param>
/// <param name="specs">The network's declaration.</param>
/// <param name="compression">How far gradients are compressed.</param>
internal sealed class CheckpointErrors(CheckpointReader reader, WorkerGrid grid, IReadOnlyList<ParameterSpec> specs, CompressionSettings compression)
{
    private readonly IReadOnlyList<Shard> _written = new ShardPlan(specs, reader.Ordinals).Shards;

    /// <summary>The file that a worker's error buffer is in, or the sum of those of its ordinal.</summary>
    public static string FileOf(int replica, int ordinal, bool scheduled) => scheduled ? $"error-{ordinal}.safetensors" : $"error-{replica}-{ordinal}.safetensors";

    /// <summary>A worker's error buffer, float32 <c>[n]</c>: its own, or its equal part of the sum (paper, appendix E). The caller disposes it.</summary>
    /// <exception cref="SafetensorsException">A file was altered, or is of another network.</exception>
    public Tensor Read(int replica, int ordinal)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        if (reader.Ordinals == grid.Shards && OwnFiles(ordinal).Count() == grid.Replicas)
        {
            return Read(FileOf(replica, ordinal, scheduled: false)).MoveToOuterDisposeScope();
        }

        var share_C = reader.Ordinals == grid.Shards && Sum(ordinal) is { } same_C ? same_C : SumOfRows(ordinal);
        return share_C.div_(Number(grid.Replicas)).MoveToOuterDisposeScope();
    }

    // Rows that were compressed before and are not any more have nothing to be added to.
    private Tensor SumOfRows(int ordinal)
    {
        var plan = new CompressionPlan(new ShardPlan(specs, grid.Shards).Shards[ordinal], compression);
        var sum_C = zeros(plan.CompressedCount);
        foreach (var shard in _written)
        {
            if (Sum(shard.Ordinal) is { } written_C)
            {
                new CompressionPlan(shard, compression).CopyRows(written_C, plan, sum_C);
            }
        }

        return sum_C;
    }

    // Null where nothing was compressed: there was one replica.
    private Tensor? Sum(int ordinal)
    {
        if (reader.OtherFiles.Contains(FileOf(0, ordinal, scheduled: true), StringComparer.Ordinal))
        {
            return Read(FileOf(0, ordinal, scheduled: true));
        }

        var own = OwnFiles(ordinal).Select(Read).ToArray();
        foreach (var error_C in own.Skip(1))
        {
            own[0].add_(error_C, One);
        }

        return own.FirstOrDefault();
    }

    private IEnumerable<string> OwnFiles(int ordinal) =>
        Enumerable.Range(0, reader.OtherFiles.Count).Select(replica => FileOf(replica, ordinal, scheduled: false)).TakeWhile(file => reader.OtherFiles.Contains(file, StringComparer.Ordinal));

    private Tensor Read(string name)
    {
        using var file = reader.OpenFile(name);
        return file.Read("error");
    }
}
