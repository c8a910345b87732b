using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Sampling;

public sealed class TokenAgreementTests
{
    [Fact]
    public void Agreement_OfWeightsThatAreWholeNumbers_IsPerfect()
    {
        using var prior = new TestPrior(layers: 3, grid: 4, width: 32, heads: 2);
        foreach (var matrix in TransformerParameters.Declare(prior.Config).Where(spec => spec.Shape.Length == 2))
        {
            using var untracked = no_grad();
            Round(prior.Parameters.View(prior.Parameters.Master, matrix.Name));
        }

        prior.Parameters.RefreshCompute();

        Assert.Equal(new(2 * 16, 1, 1, 0), Measure(prior) with { Divergence = 0 });
        Assert.Equal(0, Measure(prior).Divergence, 1e-6);
    }

    [Fact]
    public void Agreement_OfOrdinaryWeights_IsNearly()
    {
        using var prior = new TestPrior(layers: 3, grid: 4, width: 32, heads: 2);

        var agreement = Measure(prior);

        Assert.Equal(2 * 16, agreement.Tokens);
        Assert.InRange(agreement.Divergence, 1e-9, 0.05);
        Assert.InRange(agreement.Drawn, 0.7, 1);
    }

    private static TokenAgreement Measure(TestPrior prior) =>
        TokenAgreement.Measure(prior.Config, prior.Parameters, [[1, 2, 3], [4]], new SamplingSettings(), seed: 7, threads: 1);

    /// <summary>To 127ths of each row's largest.</summary>
    private static void Round(Tensor weight)
    {
        using var scope = NewDisposeScope();
        var step = weight.abs().amax([1], keepdim: true).div(Number(127));
        weight.copy_(weight.div(step).round().mul(step));
    }
}
