namespace Dalle.Model.Reranking;

/// <summary>The shape of one of the reranker's two encoders, a transformer.</summary>
/// <param name="Layers">Layers, each of attention and a hidden layer.</param>
/// <param name="Width">Model width.</param>
/// <param name="Heads">Attention heads; a head is Width / Heads wide.</param>
public sealed record EncoderShape(int Layers, int Width, int Heads)
{
    /// <summary>Width of a head.</summary>
    public int HeadWidth => Width / Heads;
}

/// <summary>
/// The shape of a reranker, a contrastive model of pictures and captions. The defaults are those of CLIP ViT-B/16 (Radford et al., 2021, tables 19 and 20) for the paper's pictures of 256 pixels
/// and its text of 256 tokens: the paper reranks with a contrastive model, and does not give its numbers.
/// </summary>
public sealed record RerankerConfig
{
    /// <summary>Height and width of the pictures, in pixels.</summary>
    public int ImageSize { get; init; } = 256;

    /// <summary>Height and width of the patches that a picture is cut into, in pixels.</summary>
    public int PatchSize { get; init; } = 16;

    /// <summary>The encoder of pictures.</summary>
    public EncoderShape Image { get; init; } = new(Layers: 12, Width: 768, Heads: 12);

    /// <summary>Text positions; shorter captions are filled with the learned pad embedding of each position.</summary>
    public int TextLength { get; init; } = 256;

    public int TextVocabulary { get; init; } = 16_384;

    /// <summary>The encoder of captions.</summary>
    public EncoderShape Text { get; init; } = new(Layers: 12, Width: 512, Heads: 8);

    /// <summary>The width that both encoders' outputs are projected to.</summary>
    public int EmbeddingWidth { get; init; } = 512;

    /// <summary>An aid for short runs: standard deviation that embeddings of tokens and places start from. At 0.02, small beside what the first resblocks add, they are learned late.</summary>
    public double EmbeddingDeviation { get; init; } = 0.02;

    /// <summary>Height and width of the grid of patches.</summary>
    public int GridSize => ImageSize / PatchSize;

    /// <summary>Patches of a picture.</summary>
    public int PatchCount => GridSize * GridSize;

    /// <summary>Numbers that describe a patch: its pixels times three colours.</summary>
    public int PatchLength => 3 * PatchSize * PatchSize;

    /// <summary>Checks that the numbers make a network.</summary>
    /// <exception cref="ArgumentException">They do not; the message names the number.</exception>
    public void Validate()
    {
        if (new[] { ImageSize, PatchSize, TextLength, TextVocabulary, EmbeddingWidth, Image.Layers, Image.Width, Image.Heads, Text.Layers, Text.Width, Text.Heads }.Any(number => number < 1))
        {
            throw new ArgumentException($"Expected a reranker's numbers to be at least 1, got {this}.");
        }

        if (ImageSize % PatchSize != 0)
        {
            throw new ArgumentException($"Expected pictures that patches of {PatchSize} pixels divide, got {ImageSize}.");
        }

        foreach (var (encoder, shape) in new[] { (nameof(Image), Image), (nameof(Text), Text) })
        {
            if (shape.Width % shape.Heads != 0)
            {
                throw new ArgumentException($"Expected a width of the reranker's {encoder} encoder that {shape.Heads} heads divide, got {shape.Width}.");
            }
        }

        if (!double.IsFinite(EmbeddingDeviation) || EmbeddingDeviation <= 0)
        {
            throw new ArgumentException($"Expected a deviation of the reranker's embeddings above 0, got {EmbeddingDeviation}.");
        }
    }
}
