using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

// Shape suffixes: B batch, H and W height and width in pixels, G grid of patches, P patch size, D numbers of a patch, S = G * G patches, R = B * S rows, C model width.

/// <summary>The first layer of pictures: each patch of pixels, brought from [0, 1] to [-1, 1], through one matrix, plus row plus column embedding. In 32 bit.</summary>
internal sealed class PatchEmbeddings(RerankerConfig config, ParameterStore parameters)
{
    private readonly Linear _patch = new(parameters, "image.patch");
    private readonly Tensor _row_GC = parameters["image.row"];
    private readonly Tensor _column_GC = parameters["image.column"];

    /// <summary>Embeds pictures: float32 <c>[B, 3, H, W]</c> in [0, 1] to float32 <c>[R, C]</c>.</summary>
    public Tensor Forward(Tensor pixels_BCHW)
    {
        using var scope = NewDisposeScope();
        var place_1SC = _row_GC.unsqueeze(1).add(_column_GC.unsqueeze(0), One).view(1, config.PatchCount, config.Image.Width);
        return _patch.Forward(Patches(pixels_BCHW)).view(-1, config.PatchCount, config.Image.Width).add_(place_1SC, One).view(-1, config.Image.Width).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the embeddings' gradients.</summary>
    /// <param name="gradient_RC">Gradient of the embedded pictures.</param>
    /// <param name="pixels_BCHW">The pictures of the forward pass.</param>
    public void Backward(Tensor gradient_RC, Tensor pixels_BCHW)
    {
        using var scope = NewDisposeScope();
        _patch.AddGradients(gradient_RC, Patches(pixels_BCHW));
        var grid_GGC = gradient_RC.view(-1, config.PatchCount, config.Image.Width).sum([0]).view(config.GridSize, config.GridSize, config.Image.Width);
        parameters.GradientOf("image.row").add_(grid_GGC.sum([1]), One);
        parameters.GradientOf("image.column").add_(grid_GGC.sum([0]), One);
    }

    // [B, 3, H, W] to [R, D], patches in raster order.
    private Tensor Patches(Tensor pixels_BCHW)
    {
        using var scope = NewDisposeScope();
        var (grid, patch) = (config.GridSize, config.PatchSize);
        var patches_RD = pixels_BCHW.reshape(-1, 3, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5).reshape(-1, config.PatchLength);
        return patches_RD.mul(Number(2)).sub_(One).MoveToOuterDisposeScope();
    }
}
