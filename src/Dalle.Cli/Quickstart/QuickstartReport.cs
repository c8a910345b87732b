using Dalle.Data.Scenes;

namespace Dalle.Cli.Quickstart;

/// <summary>What <c>dalle quickstart</c> writes to <c>report.json</c>.</summary>
internal sealed record QuickstartReport
{
    /// <summary>Wall-clock time, from the start of the process.</summary>
    public required StageSeconds Seconds { get; init; }

    public required DiscreteVaeFigures Dvae { get; init; }

    public required PriorFigures Prior { get; init; }

    /// <summary>Null where none was trained.</summary>
    public required RerankerFigures? Reranker { get; init; }

    /// <summary>Captions with pairs of colour and shape that training never showed.</summary>
    public required ZeroShotReport ZeroShot { get; init; }

    /// <summary>The same for captions of pairs that training showed.</summary>
    public required ZeroShotReport Seen { get; init; }

    public required IReadOnlyList<QuickstartImage> Images { get; init; }

    /// <summary>The preset that was trained.</summary>
    public required string Preset { get; init; }
}

/// <param name="Total">From the start of the process to the report.</param>
/// <param name="Dvae">Training of the discrete VAE.</param>
/// <param name="Encode">Encoding all pictures to tokens.</param>
/// <param name="Prior">Training of the prior.</param>
/// <param name="Reranker">Training of the reranker.</param>
/// <param name="Generate">Drawing the pictures of the sheet.</param>
/// <param name="Evaluate">Drawing and reading the captions of the evaluation.</param>
internal sealed record StageSeconds(double Total, double Dvae, double Encode, double Prior, double Reranker, double Generate, double Evaluate);

/// <param name="Updates">Updates done.</param>
/// <param name="Psnr">Of reconstructions of held-out pictures from argmax codes, in dB.</param>
/// <param name="Perplexity">exp of the entropy of the code distribution over them.</param>
/// <param name="Codes">Codes used at least once there.</param>
internal sealed record DiscreteVaeFigures(int Updates, double Psnr, double Perplexity, int Codes);

/// <param name="Updates">Updates done.</param>
/// <param name="ImageLoss">Of the last update, in nats per image token.</param>
/// <param name="TextLoss">Of the last update, in nats per text token.</param>
/// <param name="TokensPerSecond">Sequence positions, at the end of training.</param>
internal sealed record PriorFigures(int Updates, double ImageLoss, double TextLoss, double TokensPerSecond);

/// <param name="Updates">Updates done.</param>
/// <param name="ImageToText">Share of held-out pictures that find their caption in their batch.</param>
/// <param name="TextToImage">Share of held-out captions that find their picture.</param>
/// <param name="BatchSize">Pairs of a batch.</param>
internal sealed record RerankerFigures(int Updates, double ImageToText, double TextToImage, int BatchSize);

/// <param name="Prompt">What was asked for.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="File">Name of the PNG beside the report.</param>
internal sealed record QuickstartImage(string Prompt, ulong Seed, string File);
