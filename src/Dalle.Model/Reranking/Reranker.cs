using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Model.Reranking;

// Shape suffixes: B batch, C colours, H and W height and width in pixels, T text positions, E embedding width.

/// <summary>
/// Stage three: a contrastive model of pictures and captions (Radford et al., 2021), which the paper reranks candidates with (section 2.6). An encoder of pixels and one of text tokens give
/// embeddings of unit length; the cosine between them says how well a picture goes with a caption.
/// </summary>
/// <remarks>Writes its own backward pass. Used only on the device thread of its parameters. Results belong to the caller's dispose scope.</remarks>
public sealed class Reranker : IDisposable
{
    private readonly PatchEmbeddings _patches;
    private readonly TextEmbeddings _tokens;
    private readonly ContrastiveEncoder _image;
    private readonly ContrastiveEncoder _text;
    private readonly ParameterStore _parameters;

    /// <param name="config">The network's shape.</param>
    /// <param name="parameters">Holds at least what <see cref="RerankerParameters.Declare"/> lists; the caller keeps and disposes it.</param>
    /// <exception cref="ArgumentException">The numbers make no network.</exception>
    public Reranker(RerankerConfig config, ParameterStore parameters)
    {
        config.Validate();
        (Config, _parameters) = (config, parameters);
        _patches = new(config, parameters);
        _tokens = new(parameters);
        _image = new(parameters, RerankerParameters.Image, config.Image, config.PatchCount);
        _text = new(parameters, RerankerParameters.Text, config.Text, config.TextLength);
    }

    public RerankerConfig Config { get; }

    /// <summary>The contrastive temperature: what cosines were divided by in training.</summary>
    public double Temperature => Math.Exp(-LogScale);

    /// <summary>The logarithm of what cosines are multiplied by in training.</summary>
    internal double LogScale => _parameters[RerankerParameters.LogScale].item<float>();

    /// <summary>
    /// How well pictures go with a text: for each the cosine of its embedding and the text's, from -1 to 1, more for better. One picture at a time: a picture gets the same score to the bit,
    /// whatever else is in the batch.
    /// </summary>
    /// <param name="pixels_BCHW">Pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    /// <param name="tokens">The text's tokens; none for an empty text.</param>
    /// <exception cref="ArgumentException">The pictures are of another size, or the tokens are too many or not of the vocabulary.</exception>
    public IReadOnlyList<float> Score(Tensor pixels_BCHW, IReadOnlyList<int> tokens)
    {
        RequirePixels(pixels_BCHW);
        using var scope = NewDisposeScope();
        var text_E = EmbedText(tensor(Padded(tokens), [1, Config.TextLength], device: pixels_BCHW.device)).flatten();
        return [.. Enumerable.Range(0, (int)pixels_BCHW.shape[0]).Select(picture => EmbedPictures(pixels_BCHW.narrow(0, picture, 1)).flatten().dot(text_E).item<float>())];
    }

    /// <summary>A text's tokens as the network takes them: <c>[T]</c>, -1 where there is none.</summary>
    /// <exception cref="ArgumentException">They are too many, or not of the vocabulary.</exception>
    public long[] Padded(IReadOnlyList<int> tokens)
    {
        if (tokens.Count > Config.TextLength || tokens.Any(token => token < 0 || token >= Config.TextVocabulary))
        {
            throw new ArgumentException($"Expected at most {Config.TextLength} text tokens from 0 to {Config.TextVocabulary - 1}, got {tokens.Count} of them: {string.Join(", ", tokens)}.", nameof(tokens));
        }

        return [.. tokens.Select(token => (long)token), .. Enumerable.Repeat(-1L, Config.TextLength - tokens.Count)];
    }

    /// <summary>Embeddings of pictures, float32 <c>[B, E]</c>, of unit length. Their last bits may depend on how many they are.</summary>
    /// <param name="pixels_BCHW">Pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    /// <exception cref="ArgumentException">They are of another size.</exception>
    public Tensor EmbedPictures(Tensor pixels_BCHW)
    {
        RequirePixels(pixels_BCHW);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return _image.Forward(_patches.Forward(pixels_BCHW)).MoveToOuterDisposeScope();
    }

    /// <summary>Embeddings of texts, float32 <c>[B, E]</c>, of unit length. Their last bits may depend on how many they are.</summary>
    /// <param name="text_BT">Text tokens, int64 <c>[B, T]</c>, -1 where there is none.</param>
    /// <exception cref="ArgumentException">They have another number of positions.</exception>
    public Tensor EmbedText(Tensor text_BT)
    {
        RequireText(text_BT);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return _text.Forward(_tokens.Forward(text_BT).view(-1, Config.Text.Width)).MoveToOuterDisposeScope();
    }

    /// <summary>Embeds pairs in a way that can go back.</summary>
    internal RerankerPass Begin(Tensor pixels_BCHW, Tensor text_BT, bool recompute)
    {
        RequirePixels(pixels_BCHW);
        RequireText(text_BT);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var image = _image.Begin(_patches.Forward(pixels_BCHW), recompute);
        return new(this, image, _text.Begin(_tokens.Forward(text_BT).view(-1, Config.Text.Width), recompute));
    }

    /// <summary>Adds the gradients of the first layers.</summary>
    internal void FinishBackward(Tensor imageGradient_RC, Tensor pixels_BCHW, Tensor textGradient_RC, Tensor text_BT)
    {
        _patches.Backward(imageGradient_RC, pixels_BCHW);
        _tokens.Backward(textGradient_RC.view(-1, Config.TextLength, Config.Text.Width), text_BT);
    }

    internal void RequirePixels(Tensor pixels_BCHW)
    {
        if (pixels_BCHW.shape is not [_, 3, var h, var w] || h != Config.ImageSize || w != Config.ImageSize)
        {
            throw new ArgumentException($"Expected pictures [B, 3, {Config.ImageSize}, {Config.ImageSize}], got [{string.Join(", ", pixels_BCHW.shape)}].", nameof(pixels_BCHW));
        }
    }

    private void RequireText(Tensor text_BT)
    {
        if (text_BT.shape is not [_, var t] || t != Config.TextLength)
        {
            throw new ArgumentException($"Expected text [B, {Config.TextLength}], got [{string.Join(", ", text_BT.shape)}].", nameof(text_BT));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _image.Dispose();
        _text.Dispose();
    }
}

/// <summary>One way of pairs through a reranker to their embeddings, and back.</summary>
/// <remarks>What lasts from one call to the next belongs to the pass, so each call may run on another thread.</remarks>
internal sealed class RerankerPass(Reranker network, EncoderPass image, EncoderPass text) : IDisposable
{
    /// <summary>The pictures' embeddings, float32 <c>[B, E]</c>, of unit length.</summary>
    public Tensor Image => image.Unit;

    /// <summary>The captions' embeddings, float32 <c>[B, E]</c>, of unit length.</summary>
    public Tensor Text => text.Unit;

    /// <summary>Goes back, once, and adds the parameters' gradients.</summary>
    /// <param name="imageGradient_BE">Gradient of <see cref="Image"/>.</param>
    /// <param name="textGradient_BE">Gradient of <see cref="Text"/>.</param>
    /// <param name="pixels_BCHW">The pictures that were embedded.</param>
    /// <param name="text_BT">The text tokens that were embedded.</param>
    public void Backward(Tensor imageGradient_BE, Tensor textGradient_BE, Tensor pixels_BCHW, Tensor text_BT)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        network.FinishBackward(image.Backward(imageGradient_BE), pixels_BCHW, text.Backward(textGradient_BE), text_BT);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        image.Dispose();
        text.Dispose();
    }
}
