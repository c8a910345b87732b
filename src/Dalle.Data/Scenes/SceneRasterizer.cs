using Dalle.Data.Pictures;

namespace Dalle.Data.Scenes;

/// <summary>Draws scenes, anti-aliased by 16x16 samples a pixel. Only exact arithmetic: the same bytes on every machine.</summary>
public static class SceneRasterizer
{
    private const int Samples = 16;

    // Scenes stand on whole pixels, so one stencil for each shape and size serves them all.
    private static readonly Stencil[] Stencils =
    [
        .. from shape in Enum.GetValues<SceneShape>()
           from size in Enum.GetValues<SceneSize>()
           select Stencil.Cut(shape, size.Extent(), 0, 0),
    ];

    public static Picture Render(Scene scene)
    {
        var rgb = new byte[SceneVocabulary.ImageSize * SceneVocabulary.ImageSize * 3];
        Render(scene.Objects, rgb);
        return new Picture(SceneVocabulary.ImageSize, SceneVocabulary.ImageSize, rgb);
    }

    /// <summary>Draws objects on white, the later over the earlier; what reaches over the edge is cut off.</summary>
    /// <param name="objects">Objects at any place, whole pixels or not.</param>
    /// <param name="rgb">Receives the bytes <c>[32, 32, 3]</c>.</param>
    public static void Render(IEnumerable<PlacedObject> objects, Span<byte> rgb)
    {
        rgb.Fill(255);
        foreach (var (item, x, y) in objects)
        {
            var (left, top) = ((int)Math.Floor(x), (int)Math.Floor(y));
            var stencil = x == left && y == top
                ? Stencils[((int)item.Shape * SceneVocabulary.Sizes) + (int)item.Size]
                : Stencil.Cut(item.Shape, item.Size.Extent(), x - left, y - top);
            Paint(rgb, stencil, left - stencil.Reach, top - stencil.Reach, item.Color.Paint());
        }
    }

    private static void Paint(Span<byte> rgb, Stencil stencil, int left, int top, (byte R, byte G, byte B) paint)
    {
        for (var row = Math.Max(0, -top); row < Math.Min(stencil.Side, SceneVocabulary.ImageSize - top); row++)
        {
            for (var column = Math.Max(0, -left); column < Math.Min(stencil.Side, SceneVocabulary.ImageSize - left); column++)
            {
                int cover = stencil.Cover[(row * stencil.Side) + column];
                var pixel = rgb.Slice((((top + row) * SceneVocabulary.ImageSize) + left + column) * 3, 3);
                pixel[0] = Blend(pixel[0], paint.R, cover);
                pixel[1] = Blend(pixel[1], paint.G, cover);
                pixel[2] = Blend(pixel[2], paint.B, cover);
            }
        }
    }

    private static byte Blend(int ground, int paint, int cover) => (byte)(((ground * (256 - cover)) + (paint * cover) + 128) >> 8);

    /// <summary>How much of each pixel a shape covers, in 1/256, over a square of <c>Side</c> pixels; the shape's centre lies in pixel (Reach, Reach).</summary>
    internal sealed record Stencil(int Reach, ushort[] Cover)
    {
        public int Side => (2 * Reach) + 1;

        /// <param name="shape">What to cut.</param>
        /// <param name="extent">From edge to edge, in pixels.</param>
        /// <param name="x">Centre within its pixel, from 0 to 1.</param>
        /// <param name="y">Centre within its pixel, from 0 to 1.</param>
        public static Stencil Cut(SceneShape shape, double extent, double x, double y)
        {
            var reach = (int)Math.Ceiling(extent / 2);
            var stencil = new Stencil(reach, new ushort[((2 * reach) + 1) * ((2 * reach) + 1)]);
            var side = stencil.Side * Samples;
            for (var row = 0; row < side; row++)
            {
                var dy = ((row + 0.5) / Samples) - reach - y;
                for (var column = 0; column < side; column++)
                {
                    var dx = ((column + 0.5) / Samples) - reach - x;
                    if (Contains(shape, extent / 2, dx, dy))
                    {
                        stencil.Cover[(row / Samples * stencil.Side) + (column / Samples)]++;
                    }
                }
            }

            return stencil;
        }

        private static bool Contains(SceneShape shape, double radius, double dx, double dy)
        {
            if (Math.Abs(dx) > radius || Math.Abs(dy) > radius)
            {
                return false;
            }

            return shape switch
            {
                SceneShape.Circle => (dx * dx) + (dy * dy) <= radius * radius,
                SceneShape.Square => true,
                SceneShape.Triangle => 2 * Math.Abs(dx) <= dy + radius,
                _ => Math.Min(Math.Abs(dx), Math.Abs(dy)) <= 0.4 * radius,
            };
        }
    }
}
