using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: B batch, T text positions, N image positions, S = T + N sequence, C model width, R = B * S rows, V vocabulary.

/// <summary>
/// The prior (paper, section 2.2 and appendix B): a decoder-only transformer over text tokens and then image tokens. The output at a position predicts
/// the next one's token; the last text position predicts the first image token, and the first text token is not predicted (the paper's start tokens
/// are not readable; this is the alignment without any). Text and image have an unembedding each.
/// </summary>
/// <remarks>Writes its own backward pass, one resblock at a time. Used only on its device's thread.</remarks>
public sealed class Transformer : IDisposable
{
    private readonly TransformerConfig _config;
    private readonly Embeddings _embeddings;
    private readonly Dictionary<AttentionKind, Attention> _attentions;
    private readonly ResidualStack _stack;
    private readonly LayerNorm _norm;
    private readonly Unembedding _text;
    private readonly Unembedding _image;

    /// <param name="config">The network's shape.</param>
    /// <param name="parameters">Holds at least what <see cref="TransformerParameters.Declare"/> lists; the caller keeps and disposes it.</param>
    /// <param name="scales">
    /// Scales of the gradients within resblocks, attention and hidden layer of each layer in turn; the caller keeps and disposes them. A resblock's parameter gradients come out multiplied by
    /// its scale. Null for none.
    /// </param>
    /// <param name="resblocks">
    /// Hold what resblocks compute with at a time, by the names behind <see cref="TransformerParameters.Resblocks(TransformerConfig)"/>: of the first, third, fifth the first store, of the others the second. Null
    /// if <paramref name="parameters"/> holds all resblocks.
    /// </param>
    public Transformer(TransformerConfig config, ParameterStore parameters, GradientScales? scales = null, (ParameterStore Attention, ParameterStore Mlp)? resblocks = null)
    {
        config.Validate();
        var compute = parameters.Precision.ToScalarType();
        _config = config;
        _embeddings = new(config, parameters);
        _attentions = Enumerable.Range(0, config.Layers).Select(config.Attention).Distinct()
            .ToDictionary(kind => kind, kind => Attention.Create(config, kind, parameters.Master.device, compute));
        _stack = new([.. TransformerParameters.Resblocks(config).Chunk(2).SelectMany((names, layer) => (Resblock[])
        [
            new AttentionResblock(resblocks?.Attention ?? parameters, resblocks is null ? names[0] : "", compute, _attentions[config.Attention(layer)]),
            new MlpResblock(resblocks?.Mlp ?? parameters, resblocks is null ? names[1] : "", compute),
        ])], scales);
        _norm = new(parameters, "norm", ScalarType.Float32);
        _text = new(parameters, "text.unembedding");
        _image = new(parameters, "image.unembedding");
    }

    /// <summary>Embeds whole captions, token -1 where there is none: int64 <c>[B, T]</c> to float32 <c>[B, T, C]</c>.</summary>
    public Tensor EmbedText(Tensor text_BT) => _embeddings.Text(text_BT);

    /// <summary>Embeds image tokens that stand one after the other in raster order: int64 <c>[B, n]</c> to float32 <c>[B, n, C]</c>.</summary>
    /// <param name="image_Bn">The tokens.</param>
    /// <param name="from">Raster position of the first.</param>
    public Tensor EmbedImage(Tensor image_Bn, int from = 0) => _embeddings.Image(image_Bn, from);

    /// <summary>The network's output for whole sequences: float32 <c>[B, S, C]</c>, which the logits are taken from.</summary>
    /// <param name="text_BT">Text tokens, int64, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64.</param>
    public Tensor Hidden(Tensor text_BT, Tensor image_BN)
    {
        Guard(text_BT, image_BN);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return _norm.Forward(_stack.Forward(Embed(text_BT, image_BN))).view(-1, _config.SequenceLength, _config.Width).MoveToOuterDisposeScope();
    }

    /// <summary>Logits of the next text token: float32 <c>[..., C]</c> to <c>[..., V]</c>.</summary>
    public Tensor TextLogits(Tensor hidden) => _text.Logits(hidden);

    /// <summary>Logits of the next image token: float32 <c>[..., C]</c> to <c>[..., V]</c>.</summary>
    public Tensor ImageLogits(Tensor hidden) => _image.Logits(hidden);

    /// <summary>The losses of a batch, without gradients.</summary>
    /// <param name="text_BT">Text tokens, int64, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64.</param>
    public PriorLosses Loss(Tensor text_BT, Tensor image_BN)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var hidden_RC = Hidden(text_BT, image_BN).view(-1, _config.Width);
        var (textRow, textTarget) = TextTargets(text_BT);
        var text = _text.Loss(hidden_RC.index_select(0, textRow), textTarget);
        var image = _image.Loss(ImagePredictors(hidden_RC).reshape(-1, _config.Width), image_BN.flatten());
        return new(text / Math.Max(1, textTarget.shape[0]), image / image_BN.numel());
    }

    /// <summary>The losses of a batch, or what a part of one adds to them; adds the gradients of their weighted sum into the parameter store.</summary>
    /// <param name="text_BT">Text tokens, int64, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens in raster order, int64.</param>
    /// <param name="textLossWeight">Weight of the text loss; the image's is the rest to 1.</param>
    /// <param name="recompute">Whether activations inside resblocks are computed again in the backward pass instead of kept.</param>
    /// <param name="whole">The tokens of the whole batch; null if it is here.</param>
    public PriorLosses AccumulateGradients(Tensor text_BT, Tensor image_BN, double textLossWeight, bool recompute, PredictedTokens? whole = null)
    {
        using var pass = Begin(text_BT, image_BN, textLossWeight, recompute, whole ?? PredictedTokens.Of(text_BT, image_BN));
        for (var resblock = 0; resblock < pass.Resblocks; resblock++)
        {
            pass.Forward();
        }

        var losses = pass.Turn();
        for (var resblock = 0; resblock < pass.Resblocks; resblock++)
        {
            pass.Backward();
        }

        pass.Finish();
        return losses;
    }

    /// <summary>Begins what <see cref="AccumulateGradients"/> does, a resblock at a time.</summary>
    internal TransformerPass Begin(Tensor text_BT, Tensor image_BN, double textLossWeight, bool recompute, PredictedTokens whole)
    {
        Guard(text_BT, image_BN);
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        return new(this, _stack.Walk(Embed(text_BT, image_BN), recompute), text_BT, image_BN, textLossWeight, whole);
    }

    /// <summary>The losses by the stack's output, and the gradient of their weighted sum.</summary>
    internal (PriorLosses Losses, Tensor Gradient_RC) TurnAround(Tensor output_RC, Tensor text_BT, Tensor image_BN, double textLossWeight, PredictedTokens whole)
    {
        var hidden_RC = _norm.Forward(output_RC);
        var gradient_RC = zeros_like(hidden_RC);

        var (textRow, textTarget) = TextTargets(text_BT);
        var textHidden = hidden_RC.index_select(0, textRow);
        var textGradient = empty_like(textHidden);
        var text = _text.LossWithGradients(textHidden, textTarget, textLossWeight / whole.Text, textGradient);
        gradient_RC.index_copy_(0, textRow, textGradient);

        var imageHidden = ImagePredictors(hidden_RC).reshape(-1, _config.Width);
        var imageGradient = empty_like(imageHidden);
        var image = _image.LossWithGradients(imageHidden, image_BN.flatten(), (1 - textLossWeight) / whole.Image, imageGradient);
        ImagePredictors(gradient_RC).copy_(imageGradient.view(-1, _config.ImageLength, _config.Width));
        return (new(text / whole.Text, image / whole.Image), _norm.Backward(gradient_RC, output_RC));
    }

    /// <summary>Adds the gradients of the embeddings, by that of the stack's input.</summary>
    internal void FinishBackward(Tensor gradient_RC, Tensor text_BT, Tensor image_BN) =>
        _embeddings.Backward(gradient_RC.view(-1, _config.SequenceLength, _config.Width), text_BT, image_BN);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var attention in _attentions.Values)
        {
            attention.Dispose();
        }
    }

    private Tensor Embed(Tensor text_BT, Tensor image_BN) => cat([EmbedText(text_BT), EmbedImage(image_BN)], 1).view(-1, _config.Width);

    // Rows whose next position holds a text token, and that token.
    private (Tensor Row, Tensor Target) TextTargets(Tensor text_BT)
    {
        var next = text_BT.narrow(1, 1, _config.TextLength - 1);
        var real = next.ge(Number(0)).nonzero();
        var row = real.select(1, 0).mul(Number(_config.SequenceLength)).add_(real.select(1, 1), One);
        return (row, next.masked_select(next.ge(Number(0))));
    }

    // The view [B, N, C] of the rows that predict image tokens.
    private Tensor ImagePredictors(Tensor rows_RC) =>
        rows_RC.view(-1, _config.SequenceLength, _config.Width).narrow(1, _config.TextLength - 1, _config.ImageLength);

    private void Guard(Tensor text_BT, Tensor image_BN)
    {
        if (text_BT.shape is not [var b, var t] || image_BN.shape is not [var b2, var n] || b != b2 || t != _config.TextLength || n != _config.ImageLength)
        {
            throw new ArgumentException($"Expected text [B, {_config.TextLength}] and image tokens [B, {_config.ImageLength}], "
                + $"got [{string.Join(", ", text_BT.shape)}] and [{string.Join(", ", image_BN.shape)}].");
        }
    }
}
