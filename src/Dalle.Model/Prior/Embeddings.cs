using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: B batch, T text positions, N and n image positions, S sequence, C model width.

/// <summary>
/// The first layer: text as <see cref="TextEmbeddings"/> has it, the image as token plus row plus column embedding.
/// </summary>
internal sealed class Embeddings(TransformerConfig config, ParameterStore parameters)
{
    private readonly TextEmbeddings _text = new(parameters);
    private readonly Tensor _imageToken = parameters["image.token"];
    private readonly Tensor _imageRow = parameters["image.row"];
    private readonly Tensor _imageColumn = parameters["image.column"];

    /// <summary>Embeds whole captions, token -1 where there is none: int64 <c>[B, T]</c> to float32 <c>[B, T, C]</c>.</summary>
    public Tensor Text(Tensor text_BT) => _text.Forward(text_BT);

    /// <summary>Embeds image tokens that stand one after the other in raster order: int64 <c>[B, n]</c> to float32 <c>[B, n, C]</c>.</summary>
    /// <param name="image_Bn">The tokens.</param>
    /// <param name="from">Raster position of the first.</param>
    public Tensor Image(Tensor image_Bn, int from)
    {
        using var scope = NewDisposeScope();
        return Image(image_Bn, arange(Number(from), Number(from + image_Bn.shape[1]), One, device: image_Bn.device)).MoveToOuterDisposeScope();
    }

    /// <summary>Embeds image tokens: int64 <c>[..., n]</c> to float32 <c>[..., n, C]</c>.</summary>
    /// <param name="image_n">The tokens.</param>
    /// <param name="position_n">Raster position of each: int64 <c>[n]</c>.</param>
    public Tensor Image(Tensor image_n, Tensor position_n)
    {
        using var scope = NewDisposeScope();
        var row_nC = Rows(_imageRow, position_n.div(Number(config.GridSize), RoundingMode.floor));
        var column_nC = Rows(_imageColumn, position_n.remainder(Number(config.GridSize)));
        return Rows(_imageToken, image_n).add_(row_nC.add_(column_nC, One), One).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the embeddings' gradients.</summary>
    /// <param name="gradient_BSC">Gradient of the embedded sequence.</param>
    /// <param name="text_BT">Text tokens of the forward pass.</param>
    /// <param name="image_BN">Image tokens of the forward pass.</param>
    public void Backward(Tensor gradient_BSC, Tensor text_BT, Tensor image_BN)
    {
        using var scope = NewDisposeScope();
        _text.Backward(gradient_BSC.narrow(1, 0, config.TextLength), text_BT);
        var image_BNC = gradient_BSC.narrow(1, config.TextLength, config.ImageLength);
        var grid_GGC = image_BNC.sum([0]).view(config.GridSize, config.GridSize, config.Width);
        parameters.GradientOf("image.row").add_(grid_GGC.sum([1]), One);
        parameters.GradientOf("image.column").add_(grid_GGC.sum([0]), One);
        parameters.GradientOf("image.token").index_add_(0, image_BN.flatten(), image_BNC.reshape(-1, config.Width), One);
    }

    internal static Tensor Rows(Tensor table, Tensor index) =>
        table.index_select(0, index.flatten()).view([.. index.shape, table.shape[1]]);
}
