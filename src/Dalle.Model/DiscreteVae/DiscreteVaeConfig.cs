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

    /// <summary>An aid for short runs: factor on what the logits are made of. The paper's 1 lets the noise of the relaxation drown the logits for thousands of updates.</summary>
    public double LogitGain { get; init; } = 1;

    /// <summary>
    /// An aid for short runs: factor on the codebook's rows. One code's row has one code to learn from, and starts as small as if it had all of them:
    /// with the paper's 1 it is the slowest part to learn.
    /// </summary>
    public double CodeGain { get; init; } = 1;

    /// <summary>Height and width of the token grid.</summary>
    public int GridSize => ImageSize >> (GroupWidths.Count - 1);

    /// <summary>Image tokens of one picture.</summary>
    public int TokenCount => GridSize * GridSize;

    /// <summary>Numbers that describe one picture: its pixels times three colours. The loss is a mean over them.</summary>
    public int SubPixelCount => ImageSize * ImageSize * 3;

    /// <summary>Factor on every residual branch. Default: 1 / (resblocks of one network)^2, so that depth does not change the scale of the start.</summary>
    public double ResidualGain
    {
        get => field != 0 ? field : 1.0 / Math.Pow(GroupWidths.Count * BlocksPerGroup, 2);
        init;
    }

    /// <summary>Checks that the numbers fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; the message names the number.</exception>
    public void Validate()
    {
        Require(GroupWidths.Count > 0 && GroupWidths.All(width => width > 0 && width % 4 == 0), $"GroupWidths are positive multiples of 4; got [{string.Join(", ", GroupWidths)}].");
        Require(BlocksPerGroup > 0, $"BlocksPerGroup is at least 1; got {BlocksPerGroup}.");
        Require(CodebookSize > 1, $"CodebookSize is at least 2; got {CodebookSize}.");
        Require(CodeWidth > 0, $"CodeWidth is at least 1; got {CodeWidth}.");
        Require(double.IsFinite(ResidualGain) && ResidualGain > 0, $"ResidualGain is above 0; got {ResidualGain}.");
        Require(double.IsFinite(LogitGain) && LogitGain > 0, $"LogitGain is above 0; got {LogitGain}.");
        Require(double.IsFinite(CodeGain) && CodeGain > 0, $"CodeGain is above 0; got {CodeGain}.");
        Require(ImageSize > 0 && GridSize << (GroupWidths.Count - 1) == ImageSize,
            $"ImageSize is a positive multiple of {1 << (GroupWidths.Count - 1)}, as {GroupWidths.Count} groups halve it {GroupWidths.Count - 1} times; got {ImageSize}.");
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new ArgumentException(message);
        }
    }
}
