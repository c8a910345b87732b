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
    private long _step;

    /// <param name="plan">Of the shard.</param>
    /// <param name="replicas">How many.</param>
    /// <param name="kernels">Whether thin factors go through kernels; without, all through libtorch.</param>
    public ReplicaGroup(CompressionPlan plan, int replicas, bool kernels = true)
    {
        Plan = plan;
        _members = [.. Enumerable.Range(0, replicas).Select(_ => new PowerSgd(plan, replicas, seed: 1, CPU, kernels ? LowRankProducts.LargestRankOfKernels : 0))];
    }

    public CompressionPlan Plan { get; }

    public PowerSgd this[int replica] => _members[replica];

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
        for (var i = 0; i < _members.Length; i++)
        {
            _members[i].Accumulate(gradients[i]);
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
        _members[replica].ReadError(error);
        return error;
    }

    public void Dispose() => Array.ForEach(_members, member => member.Dispose());

    private static void Sum(Tensor[] tensors)
    {
        using var sum = tensors[0].clone();
        foreach (var tensor in tensors.Skip(1))
        {
            sum.add_(tensor, One);
        }

        Array.ForEach(tensors, tensor => tensor.copy_(sum));
    }
}
