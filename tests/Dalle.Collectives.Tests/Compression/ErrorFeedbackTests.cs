using Dalle.Collectives.Compression;
using TorchSharp;
using static Dalle.Collectives.Tests.Compression.ReplicaGroup;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Compression;

/// <summary>What one update leaves out, later ones make up for.</summary>
public sealed class ErrorFeedbackTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Generator _random = new(3, CPU);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Means_OfAConstantGradient_ComeToItsSum(int replicas)
    {
        using var group = new ReplicaGroup(PlanOf(new CompressionSettings(4, ProjectionUpdates: 1), Weight("w", 24, 40), Weight("v", 40, 24)), replicas);
        var gradients = Enumerable.Range(0, replicas).Select(_ => randn(group.Plan.Shard.Count, generator: _random)).ToArray();
        var mean = stack(gradients).mean([0L]);
        var sum = zeros_like(mean);
        var errors = new List<double>();
        for (var update = 1; update <= 400; update++)
        {
            sum.add_(group.Update(gradients), One);
            if (update is 25 or 100 or 400)
            {
                errors.Add((sum - (mean * Number(update))).norm().item<float>() / (mean * Number(update)).norm().item<float>());
            }
        }

        Assert.True(errors[0] > 2 * errors[1] && errors[1] > 2 * errors[2], string.Join(", ", errors));
        Assert.InRange(errors[2], 0, 0.05);
    }

    // With the paper's fixed projections what was left out does not show in left factors: those are the gradient's alone, and so is what comes out, every time.
    [Fact]
    public void Means_OfAConstantGradient_UnderAFixedProjection_StayTheSame()
    {
        using var group = new ReplicaGroup(PlanOf(4, Weight("w", 24, 40), Weight("v", 40, 24)), replicas: 1);
        var gradient = randn(group.Plan.Shard.Count, generator: _random);
        var first = group.Update(gradient);
        for (var update = 2; update <= 20; update++)
        {
            Assert.InRange((group.Update(gradient) - first).norm().item<float>() / first.norm().item<float>(), 0, 1e-3);
        }

        Assert.InRange((group.Error(0) - ((gradient - first) * Number(20))).norm().item<float>() / group.Error(0).norm().item<float>(), 0, 1e-3);
    }

    // Two replicas draw batches from halves of the data. Compressed at a saving of at least 80 %, the loss after the same updates is that of plain means within 1 %.
    [Theory]
    [InlineData(null, ErrorFormat.Float32)]
    [InlineData(1, ErrorFormat.Float32)]
    [InlineData(1, ErrorFormat.Paper16)]
    public void Training_ASmallNetwork_LearnsAsWithoutCompression_AtAFifthOfTheBytes(int? projectionUpdates, ErrorFormat errorFormat)
    {
        var compressed = PlanOf(new CompressionSettings(5, ProjectionUpdates: projectionUpdates, ErrorFormat: errorFormat), Weight("first", 64, 48), Weight("second", 48, 64));
        Assert.InRange((double)compressed.BytesPerUpdate / compressed.UncompressedBytesPerUpdate, 0, 0.2);

        var (plain, lossy) = (Train(PlanOf(0, Weight("first", 64, 48), Weight("second", 48, 64))), Train(compressed));
        Assert.InRange(lossy / plain, 0.9, 1.01);
    }

    public void Dispose()
    {
        _random.Dispose();
        _scope.Dispose();
    }

    /// <summary>The loss of a two-layer network that learns another one's outputs under noise.</summary>
    private static float Train(CompressionPlan plan)
    {
        const int Samples = 512, Batch = 32, Updates = 600;
        const double StepSize = 0.5;
        using var scope = NewDisposeScope();
        using var random = new Generator(5, CPU);
        var inputs = randn([Samples, 48], generator: random);
        var targets = inputs.matmul(randn([48, 64], generator: random) / Number(7)).tanh().matmul(randn([64, 48], generator: random) / Number(8))
            .add(randn([Samples, 48], generator: random), Number(0.3));
        var weights = randn(plan.Shard.Count, generator: random) / Number(8);
        using var group = new ReplicaGroup(plan, replicas: 2);
        Tensor Loss(Tensor parameters, Tensor x, Tensor y) => nn.functional.mse_loss(
            x.matmul(parameters.narrow(0, 0, 64 * 48).view(64, 48).t()).tanh().matmul(parameters.narrow(0, 64 * 48, 48 * 64).view(48, 64).t()), y);
        for (var update = 0; update < Updates; update++)
        {
            using var step = NewDisposeScope();
            var gradients = Enumerable.Range(0, 2).Select(replica =>
            {
                var picks = randint(replica * Samples / 2, (replica + 1) * Samples / 2, [Batch], generator: random);
                var leaf = weights.detach().requires_grad_(true);
                return autograd.grad([Loss(leaf, inputs[picks], targets[picks])], [leaf])[0];
            }).ToArray();

            // Smaller steps towards the end: what is left out then grows no further, and comes back.
            weights.add_(group.Update(gradients), Number(-StepSize * (1 - ((double)update / Updates))));
        }

        return Loss(weights, inputs, targets).item<float>();
    }
}
