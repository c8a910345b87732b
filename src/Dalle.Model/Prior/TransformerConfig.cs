namespace Dalle.Model.Prior;

/// <summary>The shape of the prior, an autoregressive transformer over text and image tokens. The defaults are the paper's 12 billion parameters (section 2.2, appendix B).</summary>
public sealed record TransformerConfig
{
    public int Layers { get; init; } = 64;

    /// <summary>Model width.</summary>
    public int Width { get; init; } = 3968;

    /// <summary>Attention heads; a head is Width / Heads wide.</summary>
    public int Heads { get; init; } = 62;

    /// <summary>Text positions; shorter captions are filled with the learned pad embedding of each position.</summary>
    public int TextLength { get; init; } = 256;

    public int TextVocabulary { get; init; } = 16_384;

    /// <summary>Height and width of the image token grid.</summary>
    public int GridSize { get; init; } = 32;

    public int ImageVocabulary { get; init; } = 8192;

    /// <summary>Height and width of the causal convolutional attention of the last layer.</summary>
    public int ConvolutionKernel { get; init; } = 11;

    /// <summary>An aid for short runs: standard deviation that embeddings start from. At 0.02, small beside what the first resblocks add, they are learned late.</summary>
    public double EmbeddingDeviation { get; init; } = 0.02;

    /// <summary>Standard deviation that unembeddings start from.</summary>
    public double UnembeddingDeviation { get; init; } = 0.02;

    /// <summary>Rows above, and columns to each side, that the convolutional attention reaches: half the kernel, or half the grid if that is smaller.</summary>
    public int ConvolutionReach => Math.Min(ConvolutionKernel, GridSize) / 2;

    public int HeadWidth => Width / Heads;

    public int ImageLength => GridSize * GridSize;

    public int SequenceLength => TextLength + ImageLength;

    /// <summary>Checks that the numbers make a network.</summary>
    /// <exception cref="ArgumentException">They do not; the message names the number.</exception>
    public void Validate()
    {
        if (new[] { Layers, Width, Heads, TextLength, TextVocabulary, GridSize, ImageVocabulary, ConvolutionKernel }.Any(number => number < 1))
        {
            throw new ArgumentException($"Expected numbers of at least 1, got {this}.");
        }

        if (Width % Heads != 0)
        {
            throw new ArgumentException($"Expected a width that {Heads} heads divide, got {Width}.");
        }

        if (new[] { EmbeddingDeviation, UnembeddingDeviation }.Any(deviation => !double.IsFinite(deviation) || deviation <= 0))
        {
            throw new ArgumentException($"Expected deviations of embeddings and unembeddings above 0, got {EmbeddingDeviation} and {UnembeddingDeviation}.");
        }

        if (ConvolutionKernel % 2 == 0)
        {
            throw new ArgumentException($"Expected an odd convolution kernel, got {ConvolutionKernel}.");
        }
    }

    /// <summary>The attention of a layer, counted from 0: row, column, row, row and so on; the last is convolutional.</summary>
    public AttentionKind Attention(int layer) =>
        layer == Layers - 1 ? AttentionKind.Convolution
        : layer % 4 == 1 ? AttentionKind.Column
        : AttentionKind.Row;
}
