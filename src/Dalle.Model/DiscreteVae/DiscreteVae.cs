using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.DiscreteVae;

// Shape suffixes: B batch, C channels, H and W height and width in pixels, h and w of the token grid, K codebook size, N = B * h * w tokens.

/// <summary>
/// Stage one: the discrete VAE (paper, section 2.1 and appendix A). The encoder turns a picture into a grid of image tokens, the decoder turns tokens into a picture.
/// </summary>
/// <remarks>Used only on the device thread of its parameters. Results belong to the caller's dispose scope.</remarks>
public sealed class DiscreteVae
{
    public DiscreteVae(DiscreteVaeConfig config, ParameterStore parameters)
    {
        Config = config;
        Encoder = new Encoder(config, parameters);
        Decoder = new Decoder(config, parameters);
    }

    public DiscreteVaeConfig Config { get; }

    /// <summary>The codebook, float32 <c>[K, D]</c>, D the width of a code: a view of the weights, not to be changed.</summary>
    public Tensor Codebook => Decoder.Codebook;

    internal Encoder Encoder { get; }

    internal Decoder Decoder { get; }

    /// <summary>Every parameter of the two networks. The names are checkpoint keys: those of openai/DALL-E behind <c>encoder.</c> and <c>decoder.</c>.</summary>
    public static IReadOnlyList<ParameterSpec> Declare(DiscreteVaeConfig config)
    {
        config.Validate();
        return [.. Encoder.Declare(config), .. Decoder.Declare(config)];
    }

    /// <summary>The most likely code at every place of the grid, int64 <c>[B, h, w]</c>.</summary>
    /// <param name="pixels_BCHW">Pictures, float32 <c>[B, 3, H, W]</c> in [0, 1].</param>
    public Tensor Encode(Tensor pixels_BCHW)
    {
        RequirePixels(pixels_BCHW);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return Encoder.Forward(pixels_BCHW).argmax(1).view(-1, Config.GridSize, Config.GridSize).MoveToOuterDisposeScope();
    }

    /// <summary>The picture of a grid of tokens, float32 <c>[B, 3, H, W]</c> in [0, 1].</summary>
    /// <param name="tokens_Bhw">Image tokens, int64 <c>[B, h, w]</c>, each from 0 to K - 1.</param>
    public Tensor Decode(Tensor tokens_Bhw)
    {
        if (tokens_Bhw.shape is not [_, var h, var w] || h != Config.GridSize || w != Config.GridSize)
        {
            throw new ArgumentException($"Expected tokens [B, {Config.GridSize}, {Config.GridSize}], got [{string.Join(", ", tokens_Bhw.shape)}].", nameof(tokens_Bhw));
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        return LogitLaplace.Reconstruct(Decoder.ForwardTokens(tokens_Bhw.flatten())).contiguous().MoveToOuterDisposeScope();
    }

    internal void RequirePixels(Tensor pixels_BCHW)
    {
        if (pixels_BCHW.shape is not [_, 3, var h, var w] || h != Config.ImageSize || w != Config.ImageSize)
        {
            throw new ArgumentException($"Expected pictures [B, 3, {Config.ImageSize}, {Config.ImageSize}], got [{string.Join(", ", pixels_BCHW.shape)}].", nameof(pixels_BCHW));
        }
    }
}
