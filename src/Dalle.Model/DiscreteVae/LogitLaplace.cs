using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

/// <summary>
/// The likelihood of pixels, logit-Laplace on (0, 1): f(x | mu, b) = 1 / (2 b x (1 - x)) * exp(-|logit(x) - mu| / b)
/// (paper, appendix A.3). The decoder's six maps are mu (3 colours) and ln b (3 colours).
/// </summary>
internal static class LogitLaplace
{
    /// <summary>The mean over sub-pixels of -ln f, a scalar.</summary>
    /// <param name="maps_B6HW">The decoder's maps, float32.</param>
    /// <param name="pixels_BCHW">The pictures, in [0, 1].</param>
    /// <param name="logScaleFloor">Floor under ln b; null for none.</param>
    public static Tensor NegativeLogLikelihood(Tensor maps_B6HW, Tensor pixels_BCHW, double? logScaleFloor)
    {
        var x = PixelMap.Forward(pixels_BCHW);
        var logScale = maps_B6HW.narrow(1, 3, 3);
        if (logScaleFloor is { } floor)
        {
            logScale = logScale.clamp_min(Number(floor));
        }

        var distance = (x.logit() - Location(maps_B6HW)).abs();
        var density = (x * x.neg().add_(One, One)).mul_(Number(2)).log().mean();
        return (distance * logScale.neg().exp()).add(logScale, One).mean().add(density, One);
    }

    /// <summary>The reconstruction, <c>[B, 3, H, W]</c> in [0, 1]: the map of mu alone.</summary>
    public static Tensor Reconstruct(Tensor maps_B6HW) => PixelMap.Inverse(Location(maps_B6HW).sigmoid());

    private static Tensor Location(Tensor maps_B6HW) => maps_B6HW.narrow(1, 0, 3);
}
