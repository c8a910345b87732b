using Dalle.Contracts;
using Dalle.Contracts.Generation;
using Dalle.Data.Augmentation;
using Dalle.Data.Pictures;
using Dalle.Data.Randomness;
using Dalle.Model.Randomness;
using Dalle.Model.Sampling;

namespace Dalle.Workers.Generation;

/// <summary>A picture of which a part is kept, read and scaled to a model's size.</summary>
internal sealed class KeptPicture
{
    /// <summary>Pictures larger than this are not decoded.</summary>
    private static readonly PictureLimits Limits = new() { MaxBytes = PictureToComplete.MaxBytes, MaxPixels = 32_000_000 };

    private readonly bool[]? _free;
    private readonly double _share;
    private readonly int _gridSize;

    private KeptPicture(float[] pixels, bool[]? free, double share, int gridSize) => (Pixels, _free, _share, _gridSize) = (pixels, free, share, gridSize);

    /// <summary>Pixels in [0, 1], <c>[3, size, size]</c>.</summary>
    public float[] Pixels { get; }

    /// <summary>Reads a picture and its mask.</summary>
    /// <param name="completion">The files.</param>
    /// <param name="imageSize">Height and width of the model's pictures, in pixels.</param>
    /// <param name="gridSize">Height and width of its token grid.</param>
    /// <exception cref="InvalidRequestException">A file is no picture, damaged or too large, the mask is of another size than the picture, or nothing is to be drawn.</exception>
    public static KeptPicture Read(PictureToComplete completion, int imageSize, int gridSize)
    {
        var picture = Decode(nameof(completion.Picture), completion.Picture, bytes => PictureDecoder.Decode(bytes, Limits));
        var pixels = new float[3 * imageSize * imageSize];
        PictureAugmentation.Centre(picture, imageSize, pixels);
        if (completion.Share is { } share)
        {
            return new(pixels, null, share, gridSize);
        }

        var mask = Decode(nameof(completion.Mask), completion.Mask ?? completion.Picture, bytes => PictureDecoder.DecodeOpacity(bytes, Limits));
        if ((mask.Width, mask.Height) != (picture.Width, picture.Height))
        {
            throw new InvalidRequestException(
                $"Mask: expected {picture.Width} x {picture.Height} pixels as the picture has, got {mask.Width} x {mask.Height}.", nameof(completion.Mask));
        }

        var free = Transparent(mask, imageSize, gridSize);
        return free.Contains(true) ? new(pixels, free, 0, gridSize)
            : completion.Mask is null ? new(pixels, null, PictureToComplete.UsualShare, gridSize)
            : throw new InvalidRequestException("Mask: expected transparent pixels where the picture is to be drawn anew, got none within its central square.", nameof(completion.Mask));
    }

    /// <summary>The tokens that are given for a picture: those of this one, free where they are drawn anew.</summary>
    /// <param name="tokens">This picture's image tokens.</param>
    /// <param name="seed">Seed of the request.</param>
    /// <param name="candidate">The picture that is drawn, counted from 0.</param>
    public int[] Given(IReadOnlyList<int> tokens, ulong seed, int candidate)
    {
        var free = _free ?? Drawn(seed, candidate);
        return [.. tokens.Select((token, position) => free[position] ? SequenceRequest.Free : token)];
    }

    /// <summary>A share of all positions, at least one.</summary>
    private bool[] Drawn(ulong seed, int candidate)
    {
        var free = new bool[_gridSize * _gridSize];
        var order = Enumerable.Range(0, free.Length).ToArray();
        var random = new KeyedRandom(CounterRandom.Key(seed, 0, candidate, Purpose.Variation));
        for (var i = 0; i < Math.Max(1, (int)Math.Round(_share * free.Length)); i++)
        {
            var chosen = random.NextInt(i, order.Length - 1);
            (order[i], order[chosen]) = (order[chosen], order[i]);
            free[order[i]] = true;
        }

        return free;
    }

    /// <summary>The positions of the grid that are not opaque all over.</summary>
    private static bool[] Transparent(Picture mask, int imageSize, int gridSize)
    {
        // Rounding of the means is not transparency.
        const float Opaque = 1 - (1f / 512);
        var opacity = new float[3 * imageSize * imageSize];
        PictureAugmentation.Centre(mask, imageSize, opacity);
        var free = new bool[gridSize * gridSize];
        for (var y = 0; y < imageSize; y++)
        {
            for (var x = 0; x < imageSize; x++)
            {
                free[(y * gridSize / imageSize * gridSize) + (x * gridSize / imageSize)] |= opacity[(y * imageSize) + x] < Opaque;
            }
        }

        return free;
    }

    private static Picture Decode(string field, ReadOnlyMemory<byte> file, Func<ReadOnlySpan<byte>, Picture> decode)
    {
        try
        {
            return decode(file.Span);
        }
        catch (PictureException error)
        {
            throw new InvalidRequestException($"{field}: {error.Message}", field);
        }
    }
}
