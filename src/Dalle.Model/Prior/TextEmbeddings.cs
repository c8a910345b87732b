using Dalle.Model.Parameters;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

// Shape suffixes: B batch, T text positions, C model width.

/// <summary>
/// The first layer of text: token plus position embedding. Where there is no text token the learned pad embedding of that position stands in for the token's; the position embedding is added
/// all the same (the paper does not say).
/// </summary>
internal sealed class TextEmbeddings(ParameterStore parameters)
{
    private readonly Tensor _token = parameters["text.token"];
    private readonly Tensor _position = parameters["text.position"];
    private readonly Tensor _pad = parameters["text.pad"];

    /// <summary>Embeds whole captions, token -1 where there is none: int64 <c>[B, T]</c> to float32 <c>[B, T, C]</c>.</summary>
    public Tensor Forward(Tensor text_BT)
    {
        using var scope = NewDisposeScope();
        var isPad_BT1 = text_BT.lt(Number(0)).unsqueeze(-1);
        var token_BTC = Embeddings.Rows(_token, text_BT.clamp_min(Number(0)));
        return where(isPad_BT1, _pad, token_BTC).add_(_position, One).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the embeddings' gradients.</summary>
    /// <param name="gradient_BTC">Gradient of the embedded text.</param>
    /// <param name="text_BT">Text tokens of the forward pass.</param>
    public void Backward(Tensor gradient_BTC, Tensor text_BT)
    {
        using var scope = NewDisposeScope();
        var pad_BTC = gradient_BTC * text_BT.lt(Number(0)).unsqueeze(-1);
        parameters.GradientOf("text.position").add_(gradient_BTC.sum([0]), One);
        parameters.GradientOf("text.pad").add_(pad_BTC.sum([0]), One);
        parameters.GradientOf("text.token").index_add_(0, text_BT.clamp_min(Number(0)).flatten(), (gradient_BTC - pad_BTC).reshape(-1, _token.shape[1]), One);
    }
}
