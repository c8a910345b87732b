using Dalle.Collectives.Compression;
using Dalle.Model.Parameters;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>An update happens as a whole or not at all.</summary>
public sealed class PowerSgdTransactionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(7, CPU);
    private readonly CompressionPlan _plan = PlanOf(2, Weight("wide", 21, 67), Weight("tall", 83, 19), new("bias", ParameterKind.Bias, 0, 0, 11));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Abort_AfterAnyPhase_LeavesEverythingAsItWas_ToTheBit(int phases)
    {
        using var aborted = new ReplicaGroup(_plan, replicas: 1);
        using var undisturbed = new ReplicaGroup(_plan, replicas: 1);
        Tensor first = Noise(), lost = Noise(), second = Noise();
        aborted.Update(first);
        undisturbed.Update(first);

        aborted[0].Accumulate(0, lost);
        foreach (var phase in ((Action[])[() => aborted[0].Project(1), () => aborted[0].Factor(), () => aborted[0].SquaredNorm()]).Take(phases))
        {
            phase();
        }

        aborted.Abort();

        Assert.Equal(undisturbed.Error(0).bytes, aborted.Error(0).bytes);
        Assert.Equal(undisturbed.Update(second).bytes, aborted.Update(second).bytes);
        Assert.Equal(undisturbed.Error(0).bytes, aborted.Error(0).bytes);
    }

    [Theory]
    [InlineData(float.NaN, 5)]
    [InlineData(float.PositiveInfinity, 5)]
    [InlineData(float.NegativeInfinity, -1)]
    public void Gradient_NotFiniteOnOneReplica_SkipsTheUpdateOnAll(float value, int at)
    {
        using var group = new ReplicaGroup(_plan, replicas: 2);
        group.Update(Noise(), Noise());
        var before = new[] { group.Error(0), group.Error(1) };
        var bad = Noise();
        bad[at < 0 ? _plan.Shard.Count + at : at] = tensor(value);

        Assert.Equal(double.PositiveInfinity, group.Prepare(Noise(), bad));
        Assert.Contains("not finite", Assert.Throws<InvalidOperationException>(() => group[0].Commit(zeros(_plan.Shard.Count))).Message);
        group.Abort();

        Assert.Equal(before[0].bytes, group.Error(0).bytes);
        Assert.Equal(before[1].bytes, group.Error(1).bytes);
        Assert.True(double.IsFinite(group.Prepare(Noise(), Noise())));
    }

    [Fact]
    public void Gradients_WhoseProductsOverflow_SkipTheUpdate()
    {
        using var group = new ReplicaGroup(_plan, replicas: 2);

        Assert.Equal(double.PositiveInfinity, group.Prepare(full(_plan.Shard.Count, Number(3e38f)), Noise()));
        group.Abort();
        Assert.True(double.IsFinite(group.Prepare(Noise(), Noise())));
    }

    [Fact]
    public void Error_WrittenBack_GoesOnToTheBit_AndForgetsWhatIsNotFinite()
    {
        using var group = new ReplicaGroup(_plan, replicas: 1);
        using var other = new ReplicaGroup(_plan, replicas: 1);
        Tensor first = Noise(), second = Noise();
        group.Update(first);
        other[0].WriteError(0, group.Error(0));
        Assert.Equal(group.Update(second).bytes, other.Update(second).bytes);

        var damaged = group.Error(0);
        damaged[3] = tensor(float.NaN);
        damaged[4] = tensor(float.NegativeInfinity);
        other[0].WriteError(0, damaged);
        damaged[3] = tensor(0f);
        damaged[4] = tensor(0f);
        Assert.Equal(damaged.bytes, other.Error(0).bytes);
    }

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    private Tensor Noise() => randn(_plan.Shard.Count, generator: _random);
}
