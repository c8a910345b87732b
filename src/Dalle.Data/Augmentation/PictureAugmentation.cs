using Dalle.Data.Pictures;
using Dalle.Data.Randomness;

namespace Dalle.Data.Augmentation;

/// <summary>The paper's two augmentations (appendix A.2 and B.2), as pure functions of a 64-bit key. Results are float32 <c>[3, size, size]</c> in [0, 1].</summary>
public static class PictureAugmentation
{
    /// <summary>For the discrete VAE: random square crop of the shorter side s, area resize to t ~ U[min(s, 9/8 size), min(s, 12/8 size)], random crop of size, and a flip.</summary>
    /// <param name="picture">The picture, of any size.</param>
    /// <param name="size">Side of the result, in pixels.</param>
    /// <param name="key">Decides all that is random.</param>
    /// <param name="flip">Whether to flip left and right half of the time; wrong where captions speak of sides.</param>
    /// <param name="target">Takes the result.</param>
    public static void ForDiscreteVae(Picture picture, int size, ulong key, bool flip, Span<float> target)
    {
        var random = new KeyedRandom(key);
        var side = Math.Min(picture.Width, picture.Height);
        var left = random.NextInt(0, picture.Width - side);
        var top = random.NextInt(0, picture.Height - side);
        var resized = Resized(Math.Min(side, size * 9 / 8), Math.Min(side, size * 12 / 8), size, ref random);
        Crop(picture, left, top, side, resized, size, ref random, flip && random.NextInt(2) == 1, target);
    }

    /// <summary>For the prior: square crop of the shorter side s near the centre (offset U[3/8, 5/8] of the slack), area resize to t ~ U[size, min(s, 9/8 size)], random crop of size, no flip.</summary>
    /// <inheritdoc cref="ForDiscreteVae" path="/param"/>
    public static void ForPrior(Picture picture, int size, ulong key, Span<float> target)
    {
        var random = new KeyedRandom(key);
        var side = Math.Min(picture.Width, picture.Height);
        var left = NearCentre(picture.Width - side, ref random);
        var top = NearCentre(picture.Height - side, ref random);
        Crop(picture, left, top, side, Resized(size, Math.Min(side, size * 9 / 8), size, ref random), size, ref random, flip: false, target);
    }

    /// <summary>Nothing random: the central square, area-resized; for evaluation.</summary>
    /// <inheritdoc cref="ForDiscreteVae" path="/param"/>
    public static void Centre(Picture picture, int size, Span<float> target)
    {
        var side = Math.Min(picture.Width, picture.Height);
        Store(AreaResize.Square(picture.Rgb, picture.Width, (picture.Width - side) / 2, (picture.Height - side) / 2, side, size), size, 0, 0, size, flip: false, target);
    }

    private static int NearCentre(int slack, ref KeyedRandom random) => (int)Math.Round(slack * (0.375 + (0.25 * random.NextDouble())));

    // A picture smaller than the target is enlarged to it: the bounds below assume s >= size, as the paper's pictures are.
    private static int Resized(int from, int to, int size, ref KeyedRandom random) => random.NextInt(Math.Max(size, from), Math.Max(size, to));

    private static void Crop(Picture picture, int left, int top, int side, int resized, int size, ref KeyedRandom random, bool flip, Span<float> target)
    {
        var x = random.NextInt(0, resized - size);
        var y = random.NextInt(0, resized - size);
        Store(AreaResize.Square(picture.Rgb, picture.Width, left, top, side, resized), resized, x, y, size, flip, target);
    }

    private static void Store(float[] square, int stride, int left, int top, int size, bool flip, Span<float> target)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(target.Length, 3 * size * size, nameof(target));
        for (var y = 0; y < size; y++)
        {
            for (var x = 0; x < size; x++)
            {
                var from = (((top + y) * stride) + left + (flip ? size - 1 - x : x)) * 3;
                for (var c = 0; c < 3; c++)
                {
                    target[(((c * size) + y) * size) + x] = square[from + c] / 255;
                }
            }
        }
    }
}
