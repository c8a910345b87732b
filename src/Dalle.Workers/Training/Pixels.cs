using Dalle.Data.Pictures;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>Between tensors of pixels and pictures.</summary>
internal static class Pixels
{
    /// <summary>Pixels in [0, 1] as a tensor, float32 <c>[B, 3, size, size]</c>.</summary>
    public static Tensor ToTensor(float[] pixels, int size, Device device) => tensor(pixels, [pixels.Length / (3 * size * size), 3, size, size], device: device);

    /// <summary>Pictures of a tensor, float32 <c>[B, 3, H, W]</c> in [0, 1], rounded to 8 bit.</summary>
    public static IReadOnlyList<Picture> ToPictures(Tensor pixels_BCHW)
    {
        using var scope = NewDisposeScope();
        var (height, width) = ((int)pixels_BCHW.shape[2], (int)pixels_BCHW.shape[3]);
        var bytes = pixels_BCHW.clamp(Number(0), One).mul(Number(255)).round().to(ScalarType.Byte).permute(0, 2, 3, 1).contiguous().cpu().data<byte>().ToArray();
        return [.. bytes.Chunk(height * width * 3).Select(rgb => new Picture(width, height, rgb))];
    }
}
