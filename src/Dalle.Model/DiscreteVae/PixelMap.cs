using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>The map from pixels to the inside of (0, 1), where the logit-Laplace likelihood is defined (paper, appendix A.3).</summary>
internal static class PixelMap
{
    /// <summary>How far mapped pixels stay from 0 and 1 (epsilon).</summary>
    public const double Margin = 0.1;

    /// <summary>[0, 1] to [Margin, 1 - Margin].</summary>
    public static Tensor Forward(Tensor pixels) => pixels.mul(1 - (2 * Margin)).add_(Margin);

    /// <summary>The inverse, clamped to [0, 1].</summary>
    public static Tensor Inverse(Tensor mapped) => mapped.sub(Margin).div_(1 - (2 * Margin)).clamp_(0, 1);
}
