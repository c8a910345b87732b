using Dalle.Data.Pictures;

namespace Dalle.Data.Scenes;

/// <summary>What a picture was found to show.</summary>
/// <param name="Objects">The objects found, in raster order of their first pixel; any number.</param>
/// <param name="Blots">Spots as large as an object that resemble no shape of the family.</param>
public sealed record SceneReading(IReadOnlyList<PlacedObject> Objects, int Blots)
{
    /// <summary>Where one object is, seen from another: along the axis on which their centres are further apart.</summary>
    public static SceneRelation Relation(PlacedObject first, PlacedObject second)
    {
        var (dx, dy) = (first.X - second.X, first.Y - second.Y);
        return Math.Abs(dy) > Math.Abs(dx)
            ? dy < 0 ? SceneRelation.Above : SceneRelation.Below
            : dx < 0 ? SceneRelation.LeftOf : SceneRelation.RightOf;
    }
}

/// <summary>
/// Reads a scene from its pixels alone. A pixel's ink is its distance from white, its color the paint in whose direction from white it
/// lies; connected pixels of one color are an object, and its shape and size are those of the stencil that fits its ink best.
/// Made for pictures out of a decoder: blur, noise, pale colors and specks do not disturb it.
/// </summary>
public static class SceneReader
{
    private const int Side = SceneVocabulary.ImageSize;

    /// <summary>Ink from which on a pixel belongs to an object; a pixel half covered by paint has about 0.5.</summary>
    private const float InkThreshold = 0.42f;

    /// <summary>Pixels of an object, at least; the smallest in the family covers 50. Smaller spots are specks.</summary>
    private const int SmallestObject = 20;

    /// <summary>Cosine between a spot's ink and the shape that fits it best, from which on the spot is an object and not a blot.</summary>
    private const float Resemblance = 0.8f;

    /// <summary>Steps in which a stencil is moved around the place where its centroid lies on that of the ink, in half pixels.</summary>
    private const int Wobble = 3;

    private static readonly (float R, float G, float B)[] PaintDirections =
        [.. Enum.GetValues<SceneColor>().Select(color => color.Paint()).Select(paint => Direction(255f - paint.R, 255f - paint.G, 255f - paint.B))];

    /// <exception cref="ArgumentException">The picture is not 32x32.</exception>
    public static SceneReading Read(Picture picture) => picture is { Width: Side, Height: Side }
        ? Read(picture.Rgb)
        : throw new ArgumentException($"Expected a scene of {Side}x{Side} pixels, got a picture of {picture.Width}x{picture.Height}.", nameof(picture));

    /// <param name="rgb">Bytes <c>[32, 32, 3]</c>.</param>
    public static SceneReading Read(ReadOnlySpan<byte> rgb)
    {
        Span<float> ink = stackalloc float[Side * Side];
        Span<sbyte> colors = stackalloc sbyte[Side * Side];
        for (var pixel = 0; pixel < ink.Length; pixel++)
        {
            ink[pixel] = Ink(rgb.Slice(pixel * 3, 3));
            colors[pixel] = ink[pixel] < InkThreshold ? (sbyte)-1 : (sbyte)Color(rgb.Slice(pixel * 3, 3));
        }

        Span<int> owners = stackalloc int[Side * Side];
        var count = FindObjects(colors, owners);
        GrowByOne(owners);
        GrowByOne(owners);

        var objects = new List<PlacedObject>(count);
        Span<float> own = stackalloc float[Side * Side];
        for (var i = 0; i < count; i++)
        {
            var (r, g, b) = (0f, 0f, 0f);
            for (var pixel = 0; pixel < own.Length; pixel++)
            {
                own[pixel] = owners[pixel] == i + 1 ? ink[pixel] : 0;
                r += own[pixel] * (255 - rgb[pixel * 3]);
                g += own[pixel] * (255 - rgb[(pixel * 3) + 1]);
                b += own[pixel] * (255 - rgb[(pixel * 3) + 2]);
            }

            if (Resembling(own, Color(r, g, b)) is { } item)
            {
                objects.Add(item);
            }
        }

        return new SceneReading(objects, Blots: count - objects.Count);
    }

    // Every paint has one channel near 30 or below, so 225 is about full ink.
    private static float Ink(ReadOnlySpan<byte> pixel) => Math.Min(1, (255 - Math.Min(pixel[0], Math.Min(pixel[1], pixel[2]))) / 225f);

    private static SceneColor Color(ReadOnlySpan<byte> pixel) => Color(255f - pixel[0], 255f - pixel[1], 255f - pixel[2]);

    private static SceneColor Color(float r, float g, float b)
    {
        var (best, closest) = (0, float.NegativeInfinity);
        for (var i = 0; i < PaintDirections.Length; i++)
        {
            var closeness = (PaintDirections[i].R * r) + (PaintDirections[i].G * g) + (PaintDirections[i].B * b);
            if (closeness > closest)
            {
                (best, closest) = (i, closeness);
            }
        }

        return (SceneColor)best;
    }

    private static (float R, float G, float B) Direction(float r, float g, float b)
    {
        var length = MathF.Sqrt((r * r) + (g * g) + (b * b));
        return (r / length, g / length, b / length);
    }

    /// <summary>Numbers the connected areas of one color from 1 on; specks and ground get 0. Returns the count of areas.</summary>
    private static int FindObjects(ReadOnlySpan<sbyte> colors, Span<int> owners)
    {
        const int Speck = -1;
        var count = 0;
        Span<int> area = stackalloc int[Side * Side];
        for (var seed = 0; seed < colors.Length; seed++)
        {
            if (colors[seed] < 0 || owners[seed] != 0)
            {
                continue;
            }

            var size = 1;
            (area[0], owners[seed]) = (seed, count + 1);
            for (var next = 0; next < size; next++)
            {
                foreach (var neighbour in Neighbours(area[next]))
                {
                    if (neighbour >= 0 && owners[neighbour] == 0 && colors[neighbour] == colors[seed])
                    {
                        (area[size++], owners[neighbour]) = (neighbour, count + 1);
                    }
                }
            }

            if (size >= SmallestObject)
            {
                count++;
                continue;
            }

            foreach (var pixel in area[..size])
            {
                owners[pixel] = Speck;
            }
        }

        owners.Replace(Speck, 0);
        return count;
    }

    /// <summary>Gives the pixels next to an object to it: soft edges belong to the shape.</summary>
    private static void GrowByOne(Span<int> owners)
    {
        Span<int> before = stackalloc int[Side * Side];
        owners.CopyTo(before);
        for (var pixel = 0; pixel < owners.Length; pixel++)
        {
            foreach (var neighbour in Neighbours(pixel))
            {
                if (owners[pixel] == 0 && neighbour >= 0)
                {
                    owners[pixel] = before[neighbour];
                }
            }
        }
    }

    /// <summary>The pixels above, left, right and below; -1 beyond the edge.</summary>
    private static Four Neighbours(int pixel)
    {
        var (row, column) = (pixel / Side, pixel % Side);
        var four = default(Four);
        four[0] = row > 0 ? pixel - Side : -1;
        four[1] = column > 0 ? pixel - 1 : -1;
        four[2] = column < Side - 1 ? pixel + 1 : -1;
        four[3] = row < Side - 1 ? pixel + Side : -1;
        return four;
    }

    /// <summary>The object that the ink resembles most, or null if it resembles none.</summary>
    private static PlacedObject? Resembling(ReadOnlySpan<float> ink, SceneColor color)
    {
        var (mass, momentX, momentY, square) = (0f, 0f, 0f, 0f);
        for (var pixel = 0; pixel < ink.Length; pixel++)
        {
            mass += ink[pixel];
            square += ink[pixel] * ink[pixel];
            momentX += ink[pixel] * ((pixel % Side) + 0.5f);
            momentY += ink[pixel] * ((pixel / Side) + 0.5f);
        }

        var (best, highest) = (default(PlacedObject), float.NegativeInfinity);
        foreach (var template in SceneTemplate.All)
        {
            // In half pixels: where the object's centre is if this is its shape.
            var centreX = (int)MathF.Round(2 * momentX / mass);
            var centreY = (int)MathF.Round(2 * ((momentY / mass) - template.CentroidY));
            for (var y = centreY - Wobble; y <= centreY + Wobble; y++)
            {
                for (var x = centreX - Wobble; x <= centreX + Wobble; x++)
                {
                    var fit = template.Fit(ink, x, y);
                    if (fit > highest)
                    {
                        (best, highest) = (new PlacedObject(new SceneObject(color, template.Shape, template.Size), x / 2.0, y / 2.0), fit);
                    }
                }
            }
        }

        return highest >= Resemblance * MathF.Sqrt(square) ? best : null;
    }

    [System.Runtime.CompilerServices.InlineArray(4)]
    private struct Four
    {
        private int _first;
    }
}
