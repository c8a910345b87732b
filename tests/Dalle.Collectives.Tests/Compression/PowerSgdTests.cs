using Dalle.Collectives.Compression;
using Dalle.Model.Parameters;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

public sealed class PowerSgdTests : IDisposable
{
    // Odd sides, wide, tall, square, a convolution kernel, one the rank does not pay for, and what is never compressed.
    private static readonly ParameterSpec[] Everything =
    [
        Weight("wide", 21, 67), Weight("tall", 83, 19), Weight("square", 32, 32), Weight("kernel", 24, 7, 3, 3), Weight("wide.2", 21, 67), Weight("thin", 3, 50),
        new("unembedding", ParameterKind.FullPrecisionWeight, 0, 1, 40, 30), new("token", ParameterKind.Embedding, 0, 1, 40, 30), new("bias", ParameterKind.Bias, 0, 0, 11),
    ];

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(8, CPU);

    public static TheoryData<int, bool> RanksAndKernels => new() { { 1, true }, { 1, false }, { 4, true }, { 4, false }, { 6, true }, { 6, false } };

    [Theory]
    [MemberData(nameof(RanksAndKernels))]
    public void Update_OfZeros_GivesZeros(int rank, bool kernels)
    {
        using var group = new ReplicaGroup(PlanOf(rank, Everything), replicas: 2, kernels);
        var nothing = zeros(group.Plan.Shard.Count);

        Assert.Equal(0, group.Prepare(nothing, nothing));
        Assert.Equal(0, group.Commit().abs().max().item<float>());
        Assert.Equal(0, group.Error(0).abs().max().item<float>());
    }

    // A random direction may by chance lie nearly across a matrix' only one, and the closer, the more of 32-bit rounding shows: 3e-7 is usual, 1e-5 comes once in forty times.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Update_OfEightMatricesOfRankOne_AtRankOne_IsExact(bool kernels)
    {
        using var group = new ReplicaGroup(PlanOf(1, [.. Enumerable.Range(0, 8).Select(i => Weight($"w{i}", 40, 64))]), replicas: 1, kernels);
        var gradient = cat([.. Enumerable.Range(0, 8).Select(_ => Noise(40, 1).matmul(Noise(1, 64)).view(-1))]);

        Assert.InRange(RelativeError(group.Update(gradient), gradient), 0, 1e-5);
    }

    [Theory]
    [InlineData(2, 1, true)]
    [InlineData(2, 1, false)]
    [InlineData(6, 4, true)]
    [InlineData(6, 4, false)]
    [InlineData(17, 12, true)]
    public void Update_OfMatricesBelowTheRank_IsExact(int rank, int trueRank, bool kernels)
    {
        long[][] shapes = [[40, 64], [64, 40], [40, 64], [48, 48]];
        using var group = new ReplicaGroup(PlanOf(rank, [.. shapes.Select((shape, i) => Weight($"w{i}", shape))]), replicas: 1, kernels);
        var gradient = cat([.. shapes.Select(shape => Noise(shape[0], trueRank).matmul(Noise(trueRank, shape[1])).view(-1))]);

        Assert.InRange(RelativeError(group.Update(gradient), gradient), 0, 1e-5);
    }

    [Theory]
    [MemberData(nameof(RanksAndKernels))]
    public void Update_LosesNothing_WhatIsNotInTheMeanIsInTheErrorBuffers(int rank, bool kernels)
    {
        using var group = new ReplicaGroup(PlanOf(rank, Everything), replicas: 3, kernels);
        var inputs = Compressed(group.Plan, zeros(group.Plan.Shard.Count));
        for (var update = 0; update < 3; update++)
        {
            var gradients = Enumerable.Range(0, 3).Select(_ => Noise(group.Plan.Shard.Count)).ToArray();
            var mean = group.Update(gradients);

            inputs = Sum(inputs, Compressed(group.Plan, Sum(gradients)), Compressed(group.Plan, mean) * Number(-3));
            Assert.InRange(RelativeError(Sum(group.Error(0), group.Error(1), group.Error(2)), inputs), 0, 1e-5);
            Assert.InRange(RelativeError(Uncompressed(group.Plan, mean) * Number(3), Uncompressed(group.Plan, Sum(gradients))), 0, 1e-6);
        }
    }

    [Theory]
    [MemberData(nameof(RanksAndKernels))]
    public void Update_OfEachMatrix_IsItsProjectionOntoTheLeftFactors(int rank, bool kernels)
    {
        using var group = new ReplicaGroup(PlanOf(rank, Everything), replicas: 1, kernels);
        var gradient = Noise(group.Plan.Shard.Count);
        var square = group.Prepare(gradient);
        var mean = group.Commit();

        Assert.InRange(Math.Abs((square / Math.Pow(mean.norm().item<float>(), 2)) - 1), 0, 1e-5);
        foreach (var (slice, _) in group.Plan.Compressed)
        {
            Tensor given = gradient.narrow(0, slice.Offset, slice.Count).view(slice.Rows, -1), got = mean.narrow(0, slice.Offset, slice.Count).view(slice.Rows, -1);
            Assert.Equal(rank, linalg.matrix_rank(got, rtol: 1e-4).item<long>());

            // What a projection leaves out is orthogonal to what it keeps.
            Assert.InRange(Math.Abs(((given - got) * got).sum().item<float>() / (got * got).sum().item<float>()), 0, 1e-4);
        }
    }

    [Fact]
    public void Kernels_AndLibtorch_Agree()
    {
        using var kernels = new ReplicaGroup(PlanOf(5, Everything), replicas: 2);
        using var libtorch = new ReplicaGroup(PlanOf(5, Everything), replicas: 2, kernels: false);
        Tensor one = Noise(kernels.Plan.Shard.Count), other = Noise(kernels.Plan.Shard.Count);

        Assert.InRange(RelativeError(kernels.Update(one, other), libtorch.Update(one, other)), 0, 1e-5);
        Assert.InRange(RelativeError(kernels.Error(1), libtorch.Error(1)), 0, 1e-5);
    }

    [Fact]
    public void Update_OfEqualReplicas_IsThatOfOne()
    {
        using var one = new ReplicaGroup(PlanOf(4, Everything), replicas: 1);
        using var two = new ReplicaGroup(PlanOf(4, Everything), replicas: 2);
        var gradient = Noise(one.Plan.Shard.Count);

        Assert.Equal(one.Update(gradient).bytes, two.Update(gradient, gradient).bytes);
        Assert.Equal(one.Error(0).bytes, two.Error(1).bytes);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(4, true)]
    public async Task Update_IsTheSameToTheBit_WhoeverElseComputesInTheProcess(int rank, bool kernels)
    {
        var gradients = Enumerable.Range(0, 3).Select(_ => Noise(PlanOf(rank, Everything).Shard.Count)).ToArray();
        byte[] Run()
        {
            using var scope = NewDisposeScope();
            using var group = new ReplicaGroup(PlanOf(rank, Everything), replicas: 1, kernels);
            return [.. gradients.SelectMany(gradient => group.Update(gradient).bytes.ToArray()), .. group.Error(0).bytes];
        }

        var alone = Run();
        var together = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
            () =>
            {
                Dalle.Model.Native.TorchRuntime.UseThreads(2);
                return Run();
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));
        Assert.All(together, bytes => Assert.Equal(alone, bytes));
    }

    [Fact]
    public void Gradients_SliceBySlice_InAnyOrderAndTwice_AreTheSameAsAllAtOnce()
    {
        using var whole = new ReplicaGroup(PlanOf(4, Everything), replicas: 1);
        using var parts = new ReplicaGroup(PlanOf(4, Everything), replicas: 1);
        var gradient = Noise(whole.Plan.Shard.Count);
        whole.Update(gradient);
        parts.Update(gradient);
        foreach (var slice in parts.Plan.Shard.Slices.Reverse())
        {
            parts[0].Accumulate(0, slice, gradient.narrow(0, slice.Offset, slice.Count).view(slice.Shape));
        }

        // The second time nothing is added: the first gradients stay, whatever is in them.
        Assert.Equal(whole.Update(gradient).bytes, parts.Update(zeros_like(gradient)).bytes);
        Assert.Equal(whole.Error(0).bytes, parts.Error(0).bytes);
    }

    [Fact]
    public void RankZero_GivesThePlainMean()
    {
        using var group = new ReplicaGroup(PlanOf(0, Everything), replicas: 2);
        Tensor one = Noise(group.Plan.Shard.Count), other = Noise(group.Plan.Shard.Count);

        Assert.Equal(0, group.Plan.CompressedCount);
        Assert.Equal((one.add(other, One) / Number(2)).bytes, group.Update(one, other).bytes);
    }

    [Fact]
    public void Phases_OutOfOrder_OrOtherLayouts_AreRefused()
    {
        using var group = new ReplicaGroup(PlanOf(4, Everything), replicas: 1);
        var gradient = Noise(group.Plan.Shard.Count);

        Assert.Contains("phase Accumulating, not Projected", Assert.Throws<InvalidOperationException>(() => group[0].Factor()).Message);
        Assert.Contains("phase Accumulating, not Prepared", Assert.Throws<InvalidOperationException>(() => group[0].Commit(gradient)).Message);
        Assert.Contains("got [3] of Float32", Assert.Throws<ArgumentException>(() => group[0].Accumulate(0, zeros(3))).Message);
        group[0].Accumulate(0, gradient);
        Assert.Contains("under way", Assert.Throws<InvalidOperationException>(() => group[0].WriteError(0, group.Error(0))).Message);
        group[0].Project(0);
        Assert.Contains("phase Projected, not Accumulating", Assert.Throws<InvalidOperationException>(() => group[0].Accumulate(0, gradient)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new PowerSgd(group.Plan, 0, 1, CPU));
    }

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    private Tensor Noise(params long[] shape) => randn(shape, generator: _random);

    private static Tensor Compressed(CompressionPlan plan, Tensor gradient) =>
        cat([.. plan.Compressed.Select(piece => gradient.narrow(0, piece.Slice.Offset, piece.Slice.Count))]);

    private static Tensor Uncompressed(CompressionPlan plan, Tensor gradient) =>
        cat([.. plan.Uncompressed.Select(piece => gradient.narrow(0, piece.Slice.Offset, piece.Slice.Count))]);

    private static Tensor Sum(params Tensor[] terms) => stack(terms).sum([0L]);

    private static double RelativeError(Tensor actual, Tensor expected) => (actual - expected).norm().item<float>() / expected.norm().item<float>();
}
