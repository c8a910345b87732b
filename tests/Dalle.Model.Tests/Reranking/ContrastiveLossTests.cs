using Dalle.Model.Reranking;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Reranking;

public sealed class ContrastiveLossTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    // Logits [[1, 0], [0, 1]]: every cross-entropy is ln(1 + 1/e).
    [Fact]
    public void Loss_OfTwoPairsAtRightAngles_IsTheOneByHand()
    {
        var units = Rows([1, 0], [0, 1]);

        Assert.Equal(0.313262, ContrastiveLoss.Of(units, units, logScale: 0), 6);
        Assert.Equal(0.313262, ContrastiveLoss.WithGradients(units, units, logScale: 0, batch: 2).Loss, 6);
    }

    // Logits [[1, 1], [0, 0]]: by rows ln 2 twice, by columns ln(1 + 1/e) and ln(1 + e).
    [Fact]
    public void Loss_OfTwoPairsWithTheSameText_IsTheOneByHand() =>
        Assert.Equal(((2 * Math.Log(2)) + Math.Log(1 + Math.Exp(-1)) + Math.Log(1 + Math.E)) / 4, ContrastiveLoss.Of(Rows([1, 0], [0, 1]), Rows([1, 0], [1, 0]), logScale: 0), 6);

    // As the scale grows, what is told apart at all is told apart for sure; what is not stays at ln 2.
    [Fact]
    public void Loss_AtTheLargestScale_IsFinite_WhetherPairsAreToldApartOrNot()
    {
        var units = Rows([1, 0], [0, 1]);

        Assert.Equal(0, ContrastiveLoss.Of(units, units, ContrastiveLoss.LargestLogScale), 6);
        Assert.Equal(Math.Log(2), ContrastiveLoss.Of(Rows([1, 0], [1, 0]), Rows([0, 1], [0, 1]), ContrastiveLoss.LargestLogScale), 6);
        Assert.Equal(100, ContrastiveLoss.Of(units, Rows([0, 1], [1, 0]), ContrastiveLoss.LargestLogScale), 4);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(7)]
    public void LossAndGradients_AreThoseThatLibtorchDerives(int pairs)
    {
        var (image, text) = (Units(pairs, seed: 1), Units(pairs, seed: 2));
        Tensor[] leaves = [image.clone().requires_grad_(), text.clone().requires_grad_(), tensor(1.3f).requires_grad_()];
        var expected = ReferenceReranker.Loss(leaves[0].matmul(leaves[1].t()).mul(leaves[2].exp()));
        expected.backward();

        var actual = ContrastiveLoss.WithGradients(image, text, logScale: 1.3f, pairs);

        Assert.Equal(expected.item<float>(), actual.Loss, 5);
        Assert.Equal(actual.Loss, ContrastiveLoss.Of(image, text, 1.3f), 6);
        AssertNear(leaves[0].grad!, actual.Image);
        AssertNear(leaves[1].grad!, actual.Text);
        AssertNear(leaves[2].grad!, actual.LogScale);
    }

    [Fact]
    public void Loss_WithPicturesAndCaptionsExchanged_IsTheSame_AndSoAreTheGradients()
    {
        var (image, text) = (Units(5, seed: 1), Units(5, seed: 2));

        var straight = ContrastiveLoss.WithGradients(image, text, logScale: 2, batch: 5);
        var crossed = ContrastiveLoss.WithGradients(text, image, logScale: 2, batch: 5);

        Assert.Equal(straight.Loss, crossed.Loss, 6);
        AssertNear(straight.Image, crossed.Text);
        AssertNear(straight.Text, crossed.Image);
        AssertNear(straight.LogScale, crossed.LogScale);
    }

    [Fact]
    public void Share_OfALargerBatch_IsThatPartOfLossAndGradients()
    {
        var (image, text) = (Units(4, seed: 1), Units(4, seed: 2));

        var alone = ContrastiveLoss.WithGradients(image, text, logScale: 2, batch: 4);
        var share = ContrastiveLoss.WithGradients(image, text, logScale: 2, batch: 16);

        Assert.Equal(alone.Loss / 4, share.Loss, 9);
        AssertNear(alone.Image.div(Number(4)), share.Image);
        AssertNear(alone.LogScale.div(Number(4)), share.LogScale);
    }

    [Fact]
    public void Scale_StartsAndEndsWhereClipHasIt()
    {
        Assert.Equal(0.07, Math.Exp(-ContrastiveLoss.InitialLogScale), 12);
        Assert.Equal(100, Math.Exp(ContrastiveLoss.LargestLogScale), 12);
    }

    private static Tensor Rows(params float[][] rows) => stack([.. rows.Select(row => tensor(row))]);

    private static Tensor Units(int count, ulong seed)
    {
        using var generator = new Generator(seed, CPU);
        return nn.functional.normalize(randn(count, 6, generator: generator), p: 2, dim: -1);
    }

    private static void AssertNear(Tensor expected, Tensor actual)
    {
        var difference = (expected - actual).abs().max().item<float>();
        Assert.True(difference < 1e-6, $"Off by {difference}.");
    }
}
