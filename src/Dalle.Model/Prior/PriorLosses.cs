namespace Dalle.Model.Prior;

/// <summary>Cross-entropies in nats per token.</summary>
/// <param name="Text">Mean over the text tokens that are there (pads and each caption's first token are not predicted); 0 without any.</param>
/// <param name="Image">Mean over the image tokens.</param>
public readonly record struct PriorLosses(double Text, double Image)
{
    /// <summary>The training loss.</summary>
    public double Weighted(double textWeight) => (textWeight * Text) + ((1 - textWeight) * Image);
}
