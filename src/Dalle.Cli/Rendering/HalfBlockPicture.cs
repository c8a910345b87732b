using Dalle.Data.Pictures;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Rendering;

/// <summary>A picture in the terminal: each character shows two pixels, one above the other, as the colours of an upper half block and of its ground.</summary>
/// <param name="picture">The picture.</param>
/// <param name="columns">Characters to a row at most; a wider picture is scaled down by averaging, a smaller one is shown pixel for pixel.</param>
internal sealed class HalfBlockPicture(Picture picture, int columns = 96) : Renderable
{
    private const string UpperHalf = "\u2580";

    /// <inheritdoc/>
    protected override Measurement Measure(RenderOptions options, int maxWidth)
    {
        var width = Math.Min(picture.Width, Math.Min(columns, maxWidth));
        return new(width, width);
    }

    /// <inheritdoc/>
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        var width = Math.Max(1, Math.Min(picture.Width, Math.Min(columns, maxWidth)));
        var height = Math.Max(1, (int)Math.Round((double)picture.Height * width / picture.Width));
        for (var y = 0; y < height; y += 2)
        {
            for (var x = 0; x < width; x++)
            {
                Color? lower = y + 1 < height ? Average(x, y + 1, width, height) : null;
                yield return new Segment(UpperHalf, new Style(Average(x, y, width, height), lower));
            }

            yield return Segment.LineBreak;
        }
    }

    /// <summary>The mean colour of the pixels that cell (x, y) of a [height, width] grid covers.</summary>
    private Color Average(int x, int y, int width, int height)
    {
        var (left, right) = (x * picture.Width / width, Math.Max((x + 1) * picture.Width / width, (x * picture.Width / width) + 1));
        var (top, bottom) = (y * picture.Height / height, Math.Max((y + 1) * picture.Height / height, (y * picture.Height / height) + 1));
        var (red, green, blue) = (0, 0, 0);
        for (var row = top; row < bottom; row++)
        {
            for (var column = left; column < right; column++)
            {
                var at = 3 * ((row * picture.Width) + column);
                (red, green, blue) = (red + picture.Rgb[at], green + picture.Rgb[at + 1], blue + picture.Rgb[at + 2]);
            }
        }

        var pixels = (right - left) * (bottom - top);
        return new Color((byte)(red / pixels), (byte)(green / pixels), (byte)(blue / pixels));
    }
}
