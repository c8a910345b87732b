using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>Replicas of one shard in one process: what travels between them is added up here.</summary>
internal sealed class ReplicaGroup : IDisposable
{
    private readonly PowerSgd[] _members;
    private readonly (PowerSgd Member, int Own)[] _replicas;
    private long _step;

    /// <param name="plan">Of the shard.</param>
    /// <param name="replicas">How many.</param>
    /// <param name="kernels">Whether thin factors go through kernels; without, all through libtorch.</param>
    public ReplicaGroup(CompressionPlan plan, int replicas, bool kernels = true)
        : this(plan, Enumerable.Repeat(1, replicas), kernels)
    {
    }

    /// <param name="plan">Of the shard.</param>
    /// <param name="hosting">How many replicas each of the objects holds, one after the other.</param>
    /// <param name="kernels">Whether thin factors go through kernels; without, all through libtorch.</param>
    public ReplicaGroup(CompressionPlan plan, IEnumerable<int> hosting, bool kernels = true)
    {
        Plan = plan;
        _members = [.. hosting.Select(own => new PowerSgd(plan, hosting.Sum(), seed: 1, CPU, own, kernels ? LowRankProducts.LargestRankOfKernels : 0))];
        _replicas = [.. _members.SelectMany(member => Enumerable.Range(0, member.OwnReplicas).Select(own => (member, own)))];
    }

    public CompressionPlan Plan { get; }

    public PowerSgd this[int member] => _members[member];

    /// <summary>A shard of the given arrays on one ordinal, compressed at one rank.</summary>
    public static CompressionPlan PlanOf(int rank, params ParameterSpec[] specs) => PlanOf(new CompressionSettings(rank), specs);

    /// <summary>A shard of the given arrays on one ordinal.</summary>
    public static CompressionPlan PlanOf(CompressionSettings settings, params ParameterSpec[] specs) => new(new ShardPlan(specs, 1).Shards[0], settings);

    /// <summary>A matrix inside a resblock.</summary>
    public static ParameterSpec Weight(string name, params long[] shape) => new(name, ParameterKind.Weight, 0, 1, shape);

    /// <summary>All phases but the last.</summary>
    /// <returns>The squared norm, which all replicas agree on.</returns>
    public double Prepare(params Tensor[] gradients)
    {
        foreach (var ((member, own), gradient) in _replicas.Zip(gradients))
        {
            member.Accumulate(own, gradient);
        }

        Sum([.. _members.Select(member => member.Project(_step))]);
        Sum([.. _members.Select(member => member.Factor())]);
        return Assert.Single(_members.Select(member => member.SquaredNorm()).Distinct());
    }

    /// <summary>A whole update.</summary>
    /// <returns>The mean gradient, which all replicas agree on to the bit.</returns>
    public Tensor Update(params Tensor[] gradients)
    {
        Assert.True(double.IsFinite(Prepare(gradients)));
        return Commit();
    }

    /// <summary>The last phase.</summary>
    public Tensor Commit()
    {
        var means = _members.Select(member =>
        {
            var mean = full(Plan.Shard.Count, Number(float.NaN));
            member.Commit(mean);
            return mean;
        }).ToArray();
        _step++;
        Assert.All(means, mean => Assert.Equal(means[0].bytes, mean.bytes));
        return means[0];
    }

    public void Abort() => Array.ForEach(_members, member => member.Abort());

    /// <summary>What a replica has left out so far.</summary>
    public Tensor Error(int replica)
    {
        var error = zeros(Plan.CompressedCount);
        _replicas[replica].Member.ReadError(_replicas[replica].Own, error);
        return error;
    }

    /// <summary>What all replicas have left out so far, one after the other.</summary>
    public Tensor Errors() => cat([.. Enumerable.Range(0, _replicas.Length).Select(Error)]);

    public void Dispose() => Array.ForEach(_members, member => member.Dispose());

    // Into the first tensor of each member.
    private static void Sum(IReadOnlyList<Tensor>[] tensors)
    {
        var all = tensors.SelectMany(own => own).ToArray();
        using var sum = all[0].clone();
        foreach (var tensor in all.Skip(1))
        {
            sum.add_(tensor, One);
        }

        Array.ForEach(tensors, own => own[0].copy_(sum));
    }
}
