using Dalle.Collectives.Compression;
using Dalle.Model.Parameters;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>Error buffers in the paper's 16 bits.</summary>
public sealed class ErrorFormatTests : IDisposable
{
    private const double Rounding = 1.0 / (1 << 10);

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(4, CPU);
    private readonly CompressionPlan _plan = PlanOf(
        new CompressionSettings(2, ErrorFormat: ErrorFormat.Paper16), Weight("wide", 21, 67), Weight("tall", 83, 19), new("bias", ParameterKind.Bias, 0, 0, 11));

    public static MatrixTheoryData<int[], bool> HostingsAndKernels => new([[1, 1, 1], [1, 2], [3]], [true, false]);

    [Theory]
    [MemberData(nameof(HostingsAndKernels))]
    public void Errors_AreWhatTheUpdateLeavesOut_RoundedOnce_ToTheBit(int[] hosting, bool kernels)
    {
        using var group = new ReplicaGroup(_plan, hosting, kernels);
        for (var update = 0; update < 3; update++)
        {
            Tensor[] gradients = [Noise(), Noise(), Noise()], before = [group.Error(0), group.Error(1), group.Error(2)];
            var mean = group.Update(gradients);
            for (var replica = 0; replica < 3; replica++)
            {
                Assert.Equal(Rounded(before[replica].add(Compressed(gradients[replica]), One) - Compressed(mean)).bytes, group.Error(replica).bytes);
            }
        }
    }

    [Fact]
    public void Updates_LoseNoMoreThanRounding_OfWhatIsNotInTheirMeans()
    {
        const int Updates = 5;
        using var group = new ReplicaGroup(_plan, replicas: 2);
        var left = zeros(_plan.CompressedCount);
        var lost = 0.0;
        for (var update = 1; update <= Updates; update++)
        {
            Tensor one = Noise(), other = Noise();
            left.add_(Compressed(one.add(other, One)), One).add_(Compressed(group.Update(one, other)), Number(-2));
            lost += Rounding * (group.Error(0).norm().item<float>() + group.Error(1).norm().item<float>());

            // Rounding takes away at most half of the last of 10 bits, and does take something.
            Assert.InRange((group.Error(0).add(group.Error(1), One) - left).norm().item<float>(), lost / 100, lost);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Abort_AfterAnyPhase_LeavesTheCodesAsTheyWere(int phases)
    {
        using var aborted = new ReplicaGroup(_plan, hosting: [2]);
        using var undisturbed = new ReplicaGroup(_plan, hosting: [2]);
        Tensor[] first = [Noise(), Noise()], second = [Noise(), Noise()];
        aborted.Update(first);
        undisturbed.Update(first);

        aborted[0].Accumulate(0, Noise());
        aborted[0].Accumulate(1, Noise());
        foreach (var phase in ((Action[])[() => aborted[0].Project(1), () => aborted[0].Factor(), () => aborted[0].SquaredNorm()]).Take(phases))
        {
            phase();
        }

        aborted.Abort();

        Assert.Equal(undisturbed.Errors().bytes, aborted.Errors().bytes);
        Assert.Equal(undisturbed.Update(second).bytes, aborted.Update(second).bytes);
        Assert.Equal(undisturbed.Errors().bytes, aborted.Errors().bytes);
    }

    [Fact]
    public void Error_WrittenBack_StaysAsItIs_AndOtherNumbersAreRounded()
    {
        using var group = new ReplicaGroup(_plan, replicas: 1);
        group.Update(Noise());
        var error = group.Error(0);
        group[0].WriteError(0, error);
        Assert.Equal(error.bytes, group.Error(0).bytes);

        var values = Noise().narrow(0, 0, _plan.CompressedCount);
        var expected = Rounded(values);
        (float Value, float Kept)[] unusual = [(float.NaN, 0), (float.PositiveInfinity, 0), (100, Float1x6x9.Largest), (-100, -Float1x6x9.Largest)];
        foreach (var (at, (value, kept)) in unusual.Index())
        {
            values[at] = tensor(value);
            expected[at] = tensor(kept);
        }

        group[0].WriteError(0, values);
        Assert.Equal(expected.bytes, group.Error(0).bytes);
    }

    // Kernels are not for strided tensors, so these go the way of other devices.
    [Fact]
    public void Kernels_AndLibtorch_AgreeToTheBit()
    {
        const int Count = 70_001;
        Tensor Strided() => zeros(Count, 2).select(1, 0);
        Tensor values = randn(Count, generator: _random) * Number(1e-3), gradient = randn(Count, generator: _random);
        using ErrorBuffer kernels = new(Count, ErrorFormat.Paper16, CPU), libtorch = new(Count, ErrorFormat.Paper16, CPU);

        kernels.Exchange(values.clone());
        libtorch.Exchange(Strided().copy_(values));
        Tensor kept = zeros(Count), keptByLibtorch = Strided(), sum = zeros(Count), sumByLibtorch = Strided();
        kernels.Read(0, kept);
        libtorch.Read(0, keptByLibtorch);
        Assert.True(kernels.Add(0, gradient, sum));
        Assert.True(libtorch.Add(0, Strided().copy_(gradient), sumByLibtorch));

        Assert.Equal(Rounded(values).bytes, kept.bytes);
        Assert.Equal(kept.bytes, keptByLibtorch.contiguous().bytes);
        Assert.Equal(kept.add(gradient, One).bytes, sum.bytes);
        Assert.Equal(sum.bytes, sumByLibtorch.contiguous().bytes);
    }

    [Fact]
    public void Buffers_TakeTheirFormatsBytes()
    {
        Assert.Equal(2 * _plan.CompressedCount, _plan.ErrorBytes);
        Assert.Equal(4 * _plan.CompressedCount, new CompressionPlan(_plan.Shard, new(2)).ErrorBytes);
    }

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    private Tensor Noise() => randn(_plan.Shard.Count, generator: _random);

    private Tensor Compressed(Tensor gradient) => cat([.. _plan.Compressed.Select(piece => gradient.narrow(0, piece.Slice.Offset, piece.Slice.Count))]);

    private static Tensor Rounded(Tensor values)
    {
        var numbers = values.data<float>().ToArray();
        var codes = new ushort[numbers.Length];
        Float1x6x9.Encode(numbers, codes);
        Float1x6x9.Decode(codes, numbers);
        return tensor(numbers);
    }
}
