using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

// Shape suffixes: B pairs, E embedding width, 1 a dimension of one.

/// <summary>
/// The symmetric contrastive loss of pairs (InfoNCE; Radford et al., 2021, figure 3): cosines between all pictures and all captions, times a learned scale, are the logits by which every picture
/// is to find its caption and every caption its picture; the mean of both cross-entropies. All in 32 bit.
/// </summary>
internal static class ContrastiveLoss
{
    /// <summary>The logarithm that the scale starts at: ln(1 / 0.07).</summary>
    public static readonly double InitialLogScale = Math.Log(1 / 0.07);

    /// <summary>The logarithm that the scale is kept at or below: ln 100, beyond which training becomes unstable (the paper's section 2.5).</summary>
    public static readonly double LargestLogScale = Math.Log(100);

    /// <summary>The loss of a batch, in nats.</summary>
    /// <param name="image_BE">Embeddings of pictures, float32, of unit length.</param>
    /// <param name="text_BE">Those of their captions.</param>
    /// <param name="logScale">Logarithm of what cosines are multiplied by.</param>
    public static double Of(Tensor image_BE, Tensor text_BE, double logScale)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var logits_BB = Logits(image_BE, text_BE, logScale);
        return Sum(logits_BB, logits_BB.logsumexp(1, keepdim: true), logits_BB.logsumexp(0, keepdim: true)) / (2 * image_BE.shape[0]);
    }

    /// <summary>What pairs add to the loss of a batch that they are a part of, the others of which they do not see; and the gradients of that.</summary>
    /// <param name="image_bE">Embeddings of pictures, float32, of unit length.</param>
    /// <param name="text_bE">Those of their captions.</param>
    /// <param name="logScale">Logarithm of what cosines are multiplied by.</param>
    /// <param name="batch">Pairs of the whole batch.</param>
    /// <returns>The gradients belong to the caller's dispose scope.</returns>
    public static ContrastiveGradients WithGradients(Tensor image_bE, Tensor text_bE, double logScale, long batch)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var logits_bb = Logits(image_bE, text_bE, logScale);
        var (ofPictures_b1, ofCaptions_1b) = (logits_bb.logsumexp(1, keepdim: true), logits_bb.logsumexp(0, keepdim: true));
        var loss = Sum(logits_bb, ofPictures_b1, ofCaptions_1b) / (2 * batch);

        // (softmax by rows + softmax by columns - 2 on the diagonal) / 2, as a share of the batch.
        var gradient_bb = logits_bb.sub(ofPictures_b1).exp_().add_(logits_bb.sub(ofCaptions_1b).exp_(), One);
        gradient_bb.diagonal(0, 0, 1).sub_(Number(2));
        gradient_bb.div_(Number(2.0 * batch));
        var scale = Math.Exp(logScale);
        return new(
            loss,
            gradient_bb.mm(text_bE).mul_(Number(scale)).MoveToOuterDisposeScope(),
            gradient_bb.t().mm(image_bE).mul_(Number(scale)).MoveToOuterDisposeScope(),
            gradient_bb.mul(logits_bb).sum().MoveToOuterDisposeScope());
    }

    private static Tensor Logits(Tensor image_BE, Tensor text_BE, double logScale) => image_BE.mm(text_BE.t()).mul_(Number(Math.Exp(logScale)));

    // Both cross-entropies, added over the pairs.
    private static double Sum(Tensor logits_BB, Tensor ofPictures_B1, Tensor ofCaptions_1B) =>
        ofPictures_B1.sum().item<float>() + ofCaptions_1B.sum().item<float>() - (2.0 * logits_BB.diagonal(0, 0, 1).sum().item<float>());
}

/// <summary>What <see cref="ContrastiveLoss.WithGradients"/> finds.</summary>
/// <param name="Loss">The pairs' part of the loss, in nats.</param>
/// <param name="Image">Gradient of the pictures' embeddings.</param>
/// <param name="Text">Gradient of the captions' embeddings.</param>
/// <param name="LogScale">Gradient of the scale's logarithm, of no dimension.</param>
internal readonly record struct ContrastiveGradients(double Loss, Tensor Image, Tensor Text, Tensor LogScale);
