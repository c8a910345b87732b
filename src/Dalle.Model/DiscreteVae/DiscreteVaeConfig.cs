namespace Dalle.Model.DiscreteVae;

/// <summary>The shape of a discrete VAE. The defaults are the paper's (section 2.1, appendix A).</summary>
public sealed record DiscreteVaeConfig
{
    /// <summary>Height and width of the pictures, in pixels.</summary>
    public int ImageSize { get; init; } = 256;

    /// <summary>Number of codes (the image vocabulary).</summary>
    public int CodebookSize { get; init; } = 8192;

    /// <summary>Channels of each group of resblocks in the encoder; the decoder has them in reverse. Between two groups the grid halves.</summary>
    public IReadOnlyList<int> GroupWidths { get; init; } = [256, 512, 1024, 2048];

    /// <summary>Resblocks of one group.</summary>
    public int BlocksPerGroup { get; init; } = 2;

    /// <summary>Channels that the decoder maps a code to.</summary>
    public int CodeWidth { get; init; } = 128;

    /// <summary>Height and width of the token grid.</summary>
    public int GridSize => ImageSize >> (GroupWidths.Count - 1);
}
