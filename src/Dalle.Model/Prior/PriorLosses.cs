using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>Cross-entropies in nats per token.</summary>
/// <param name="Text">Mean over the text tokens that are there (pads and each caption's first token are not predicted); 0 without any.</param>
/// <param name="Image">Mean over the image tokens.</param>
public readonly record struct PriorLosses(double Text, double Image)
{
    /// <summary>The losses of a batch from what its parts add to them.</summary>
    public static PriorLosses operator +(PriorLosses a, PriorLosses b) => new(a.Text + b.Text, a.Image + b.Image);

    /// <summary>The training loss.</summary>
    public double Weighted(double textWeight) => (textWeight * Text) + ((1 - textWeight) * Image);
}

/// <summary>How many tokens a batch's losses are means over.</summary>
/// <param name="Text">Text tokens; at least 1.</param>
/// <param name="Image">Image tokens.</param>
public readonly record struct PredictedTokens(long Text, long Image)
{
    /// <summary>Those of a batch.</summary>
    /// <param name="text_BT">Text tokens, int64, -1 where there is none.</param>
    /// <param name="image_BN">Image tokens, int64.</param>
    public static PredictedTokens Of(Tensor text_BT, Tensor image_BN)
    {
        using var scope = NewDisposeScope();
        return new(Math.Max(1, text_BT.narrow(1, 1, text_BT.shape[1] - 1).ge(Number(0)).sum().item<long>()), image_BN.numel());
    }
}
