using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>The map from pixels to the inside of (0, 1), where the logit-Laplace likelihood is defined (paper, appendix A.3).</summary>
internal static class PixelMap
{
    /// <summary>How far mapped pixels stay from 0 and 1 (epsilon).</summary>
    public const double Margin = 0.1;

    /// <summary>[0, 1] to [Margin, 1 - Margin].</summary>
    public static Tensor Forward(Tensor pixels) => pixels.mul(Number(1 - (2 * Margin))).add_(Number(Margin), One);

    /// <summary>The inverse, clamped to [0, 1].</summary>
    public static Tensor Inverse(Tensor mapped) => mapped.sub(Number(Margin)).div_(Number(1 - (2 * Margin))).clamp_(Number(0), One);
}
