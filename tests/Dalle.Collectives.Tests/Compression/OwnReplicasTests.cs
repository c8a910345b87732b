using Dalle.Collectives.Compression;
using Dalle.Collectives.Groups;
using Dalle.Collectives.Tests.Groups;
using Dalle.Model.Parameters;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>Several replicas in one process come to what each in a process of its own comes to, to the bit.</summary>
public sealed class OwnReplicasTests : IDisposable
{
    private const int Replicas = 4, Updates = 3;

    private static readonly ParameterSpec[] Specs =
    [
        Weight("wide", 21, 67), Weight("tall", 83, 19), Weight("square", 32, 32), Weight("wide.2", 21, 67), Weight("thin", 3, 50), new("bias", ParameterKind.Bias, 0, 0, 11),
    ];

    private readonly Generator _random = new(9, CPU);

    public static MatrixTheoryData<int[], bool> HostingsAndKernels => new([[4], [2, 2], [1, 3], [3, 1]], [true, false]);

    [Theory]
    [MemberData(nameof(HostingsAndKernels))]
    public void GradientsAndErrors_AreThoseOfOneReplicaAnObject(int[] hosting, bool kernels)
    {
        using var scope = NewDisposeScope();
        var plan = PlanOf(new CompressionSettings(4, ProjectionUpdates: 2), Specs);
        using var apart = new ReplicaGroup(plan, Replicas, kernels);
        using var together = new ReplicaGroup(plan, hosting, kernels);
        for (var update = 0; update < Updates; update++)
        {
            var gradients = Enumerable.Range(0, Replicas).Select(_ => Noise(plan)).ToArray();
            Assert.Equal(apart.Prepare(gradients), together.Prepare(gradients));
            Assert.Equal(apart.Commit().bytes, together.Commit().bytes);
            Assert.Equal(apart.Errors().bytes, together.Errors().bytes);
        }
    }

    [Theory]
    [InlineData("0000")]
    [InlineData("0011")]
    [InlineData("0122")]
    public async Task GradientsAndErrors_OverAGroup_AreTheSameWhateverTheHosting(string layout)
    {
        var plan = PlanOf(4, Specs);
        var gradients = Enumerable.Range(0, Updates * Replicas).Select(_ => Noise(plan)).ToArray();
        var expected = await Run("0123");

        Assert.Equal(expected, await Run(layout));
        Array.ForEach(gradients, gradient => gradient.Dispose());

        // The last mean gradient, then the errors by rank.
        async Task<byte[][]> Run(string layout)
        {
            await using var ranks = Ranks.Of(layout);
            var results = new byte[1 + Replicas][];
            await ranks.Run(async group =>
            {
                using var compression = new PowerSgd(plan, Replicas, seed: 1, CPU, group.Own.Count);
                using Tensor mean = zeros(plan.Shard.Count), error = zeros(plan.CompressedCount);
                for (var update = 0; update < Updates; update++)
                {
                    foreach (var (own, rank) in group.Own.Index())
                    {
                        compression.Accumulate(own, gradients[(update * Replicas) + rank]);
                    }

                    await Sum(new(update, 1), compression.Project(update));
                    await Sum(new(update, 2), compression.Factor());
                    Assert.True(double.IsFinite(compression.SquaredNorm()));
                    compression.Commit(mean);
                }

                Interlocked.CompareExchange(ref results[0], mean.bytes.ToArray(), null);
                Assert.Equal(results[0], mean.bytes);
                foreach (var (own, rank) in group.Own.Index())
                {
                    compression.ReadError(own, error);
                    results[1 + rank] = error.bytes.ToArray();
                }

                Task Sum(CollectiveKey key, IReadOnlyList<Tensor> tensors) =>
                    group.AllReduce(key, [.. tensors.Select(Elements.Of)], Elements.Of(tensors[0]), TestContext.Current.CancellationToken);
            });
            return results;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Abort_AfterAnyPhase_LeavesEveryReplicaAsItWas_ToTheBit(int phases)
    {
        using var scope = NewDisposeScope();
        var plan = PlanOf(2, Specs);
        using var aborted = new ReplicaGroup(plan, hosting: [3]);
        using var undisturbed = new ReplicaGroup(plan, hosting: [3]);
        Tensor[] first = [Noise(plan), Noise(plan), Noise(plan)], second = [Noise(plan), Noise(plan), Noise(plan)];
        aborted.Update(first);
        undisturbed.Update(first);

        aborted[0].Accumulate(0, Noise(plan));
        aborted[0].Accumulate(2, plan.Shard.Slices[0], Noise(plan).narrow(0, 0, plan.Shard.Slices[0].Count));
        foreach (var phase in ((Action[])[() => aborted[0].Project(1), () => aborted[0].Factor(), () => aborted[0].SquaredNorm()]).Take(phases))
        {
            phase();
        }

        aborted.Abort();

        Assert.Equal(undisturbed.Errors().bytes, aborted.Errors().bytes);
        Assert.Equal(undisturbed.Update(second).bytes, aborted.Update(second).bytes);
        Assert.Equal(undisturbed.Errors().bytes, aborted.Errors().bytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Gradient_NotFiniteOnOneOfThem_SkipsTheUpdateOfAll(int bad)
    {
        using var scope = NewDisposeScope();
        var plan = PlanOf(2, Specs);
        using var group = new ReplicaGroup(plan, hosting: [2, 1]);
        group.Update(Noise(plan), Noise(plan), Noise(plan));
        var before = group.Errors();
        Tensor[] gradients = [Noise(plan), Noise(plan), Noise(plan)];
        gradients[bad][5] = tensor(float.NaN);

        Assert.Equal(double.PositiveInfinity, group.Prepare(gradients));
        group.Abort();
        Assert.Equal(before.bytes, group.Errors().bytes);
    }

    [Fact]
    public void Replicas_ThatAreNotThere_AreRefused()
    {
        using var scope = NewDisposeScope();
        var plan = PlanOf(2, Specs);
        using var compression = new PowerSgd(plan, replicas: 3, seed: 1, CPU, ownReplicas: 2);

        Assert.Contains("one of 2 own replicas", Assert.Throws<ArgumentOutOfRangeException>(() => compression.Accumulate(2, Noise(plan))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => compression.ReadError(-1, zeros(plan.CompressedCount)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PowerSgd(plan, replicas: 3, seed: 1, CPU, ownReplicas: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PowerSgd(plan, replicas: 3, seed: 1, CPU, ownReplicas: 4));
    }

    public void Dispose() => _random.Dispose();

    private Tensor Noise(CompressionPlan plan) => randn(plan.Shard.Count, generator: _random);
}
