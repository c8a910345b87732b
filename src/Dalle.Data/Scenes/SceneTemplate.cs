namespace Dalle.Data.Scenes;

/// <summary>A shape and size to compare ink with, sharp or softened, drawn on whole and on half pixels.</summary>
internal sealed class SceneTemplate
{
    /// <summary>How far softening spreads ink, in pixels.</summary>
    private const int Spread = 2;

    private static readonly SceneTemplate[] Every =
    [
        .. from shape in Enum.GetValues<SceneShape>()
           from size in Enum.GetValues<SceneSize>()
           from soft in new[] { false, true }
           select new SceneTemplate(shape, size, soft),
    ];

    private readonly int _reach;

    /// <summary>Cover of each of the four phases (y, x), divided by its length.</summary>
    private readonly float[][] _unitCover;

    private SceneTemplate(SceneShape shape, SceneSize size, bool soft)
    {
        (Shape, Size) = (shape, size);
        _reach = (size.Extent() / 2) + Spread;
        _unitCover =
        [
            .. from y in new[] { 0, 0.5 }
               from x in new[] { 0, 0.5 }
               let cover = Widen(SceneRasterizer.Stencil.Cut(shape, size.Extent(), x, y))
               select Unit(soft ? Soften(cover) : cover),
        ];
        CentroidY = shape == SceneShape.Triangle ? size.Extent() / 6f : 0;
    }

    public static ReadOnlySpan<SceneTemplate> All => Every;

    public SceneShape Shape { get; }

    public SceneSize Size { get; }

    /// <summary>How far the centroid lies below the centre, in pixels.</summary>
    public float CentroidY { get; }

    /// <summary>How alike ink and shape are, in a measure that compares different shapes fairly: the cosine between them times the ink's length.</summary>
    /// <param name="ink">Ink of one object, <c>[32, 32]</c>.</param>
    /// <param name="x">Centre in half pixels.</param>
    /// <param name="y">Centre in half pixels.</param>
    public float Fit(ReadOnlySpan<float> ink, int x, int y)
    {
        var cover = _unitCover[((y & 1) * 2) + (x & 1)];
        var (left, top, side) = ((x >> 1) - _reach, (y >> 1) - _reach, (2 * _reach) + 1);
        var (from, to) = (Math.Max(0, -left), Math.Min(side, SceneVocabulary.ImageSize - left));
        var sum = 0f;
        for (var row = Math.Max(0, -top); row < Math.Min(side, SceneVocabulary.ImageSize - top); row++)
        {
            for (var column = from; column < to; column++)
            {
                sum += cover[(row * side) + column] * ink[((top + row) * SceneVocabulary.ImageSize) + left + column];
            }
        }

        return sum;
    }

    private static float[] Widen(SceneRasterizer.Stencil stencil)
    {
        var side = stencil.Side + (2 * Spread);
        var cover = new float[side * side];
        for (var i = 0; i < stencil.Cover.Length; i++)
        {
            cover[(((i / stencil.Side) + Spread) * side) + (i % stencil.Side) + Spread] = stencil.Cover[i];
        }

        return cover;
    }

    /// <summary>Blurs by the weights 1 4 6 4 1 in both directions: a Gaussian of one pixel.</summary>
    private static float[] Soften(float[] cover)
    {
        ReadOnlySpan<float> weights = [1, 4, 6, 4, 1];
        var side = (int)Math.Sqrt(cover.Length);
        var soft = new float[cover.Length];
        for (var to = 0; to < cover.Length; to++)
        {
            for (var from = 0; from < cover.Length; from++)
            {
                var (dy, dx) = ((to / side) - (from / side), (to % side) - (from % side));
                if (Math.Abs(dy) <= Spread && Math.Abs(dx) <= Spread)
                {
                    soft[to] += cover[from] * weights[dy + Spread] * weights[dx + Spread];
                }
            }
        }

        return soft;
    }

    private static float[] Unit(float[] cover)
    {
        var length = MathF.Sqrt(cover.Sum(value => value * value));
        return [.. cover.Select(value => value / length)];
    }
}
