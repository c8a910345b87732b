using Dalle.Model.DiscreteVae;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.DiscreteVae;

public sealed class RelaxationTests
{
    private const double Tau = 0.7, KlScale = 0.3;

    [Theory]
    [InlineData(0.2)]
    [InlineData(-0.2)]
    public void LogitGradient_EqualsAutomaticDifferentiation(double usageWeight)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        Tensor Draw() => randn([5, 7], generator: generator);
        var (logits, noise, slope) = (Draw().requires_grad_(), Draw(), Draw());

        var relaxed = logits.add(noise, One).div(Number(Tau)).softmax(1);
        var probabilities = logits.softmax(1);
        var mean = probabilities.mean([0]);
        var kl = (probabilities * probabilities.mul(Number(7)).log()).sum();
        var entropy = -(mean * mean.log()).sum();
        (relaxed * slope).sum().add(kl, Number(KlScale)).sub(entropy.mul(Number(usageWeight))).backward();

        var relaxation = new Relaxation(logits.detach(), noise.clone(), Tau, KlScale, usageWeight);
        Assert.True(relaxed.detach().allclose(relaxation.Codes_NK));
        Assert.Equal(kl.item<float>(), relaxation.TotalKl().item<float>(), 4);
        Assert.Equal(entropy.item<float>(), relaxation.UsageEntropy().item<float>(), 4);
        Assert.True(logits.grad!.allclose(relaxation.LogitGradient(slope.clone()), 1e-4, 1e-6));
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(-0.2)]
    public void LogitGradient_WhereACodeIsImpossible_IsFinite(double usageWeight)
    {
        using var scope = NewDisposeScope();
        var logits = zeros(3, 4);
        logits.select(1, 2).fill_(Number(-500));

        var gradient = new Relaxation(logits, zeros(3, 4), Tau, KlScale, usageWeight).LogitGradient(ones(3, 4));

        Assert.True(gradient.isfinite().all().item<bool>());
    }

    [Fact]
    public void TotalKl_OfEqualLogits_IsZero_AndOfACertainCode_LogK()
    {
        using var scope = NewDisposeScope();
        var certain = zeros(2, 8);
        certain[0, 3] = 100;
        certain[1, 5] = 100;

        Assert.Equal(0, new Relaxation(zeros(2, 8), zeros(2, 8), 1, 1, 0).TotalKl().item<float>(), 5);
        Assert.Equal(2 * Math.Log(8), new Relaxation(certain, zeros(2, 8), 1, 1, 0).TotalKl().item<float>(), 4);
    }
}
