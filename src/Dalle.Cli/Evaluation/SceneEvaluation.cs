using Dalle.Cli.Hosting;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Data.Scenes;
using Dalle.Model.Sampling;
using Dalle.Workers.Artifacts;
using Dalle.Workers.Models;
using TorchSharp;

namespace Dalle.Cli.Evaluation;

/// <summary>How well a model of scenes draws what it is asked for: captions with pairs of colour and shape it never saw, and captions of seen pairs beside them.</summary>
/// <param name="ZeroShot">Figures on held-out captions.</param>
/// <param name="Seen">Figures on captions of seen pairs.</param>
/// <param name="Seconds">Time of drawing and reading.</param>
/// <param name="Reranker">What the model's reranker says of the same pictures; null if it has none.</param>
/// <param name="Best">Figures of the best of several pictures; null where one was drawn for each caption.</param>
/// <param name="EightBit">Figures of pictures drawn with 8-bit weights; null where that was not asked for.</param>
internal sealed record SceneEvaluation(ZeroShotReport ZeroShot, ZeroShotReport Seen, double Seconds, SceneRerankerScores? Reranker, BestOfScenes? Best, EightBitScenes? EightBit)
{
    /// <summary>The first caption's seed: one fixed protocol, so that figures can be compared.</summary>
    private const ulong Seed = 1;

    /// <param name="cluster">Where the model is published.</param>
    /// <param name="model">The model.</param>
    /// <param name="captions">Captions of each kind.</param>
    /// <param name="bestOf">Pictures of each caption, of which the first and the one that the reranker chooses are measured.</param>
    /// <param name="eightBit">Whether to try the model with 8-bit weights as well, in this process.</param>
    /// <param name="clock">Measures the time.</param>
    /// <param name="drawn">Told the number of captions done, of twice <paramref name="captions"/>.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<SceneEvaluation> Run(
        ClusterConnection cluster, ModelManifest model, int captions, int bestOf, bool eightBit, TimeProvider clock, Action<int> drawn, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        var asked = new[] { ZeroShotCaptions.HeldOut(captions), ZeroShotCaptions.Seen(captions) };
        var pictures = await new CaptionedPictures(cluster.Client, model.Name, Seed, bestOf).Draw([.. asked[0], .. asked[1]], drawn, cancellationToken);
        var (heldOut, seen) = (FirstOf(pictures.Take(captions)), FirstOf(pictures.Skip(captions)));
        var scores = await PublishedModel.Compute(cluster, model, store => Rerank(store, model, heldOut, seen), cancellationToken);
        var trial = eightBit
            ? await PublishedModel.Compute(cluster, model, store => EightBitTrial.Run(store, model, [.. asked[0], .. asked[1]], Seed, Environment.ProcessorCount), cancellationToken)
            : null;
        return new(
            ZeroShotReport.Of(heldOut),
            ZeroShotReport.Of(seen),
            clock.GetElapsedTime(began).TotalSeconds,
            scores,
            bestOf == 1 ? null : new(bestOf, ZeroShotReport.Of(BestOf(pictures.Take(captions))), ZeroShotReport.Of(BestOf(pictures.Skip(captions)))),
            trial is null ? null : new(trial.Tokens, ZeroShotReport.Of([.. trial.Pictures.Take(captions)]), ZeroShotReport.Of([.. trial.Pictures.Skip(captions)])));
    }

    private static SceneRerankerScores? Rerank(ArtifactStore store, ModelManifest model, (string Caption, Picture Picture)[] heldOut, (string Caption, Picture Picture)[] seen)
    {
        using var reranker = LoadedReranker.Read(store, model, torch.CPU);
        return reranker is null ? null : new(reranker.Measure(heldOut), reranker.Measure(seen));
    }

    private static (string Caption, Picture Picture)[] FirstOf(IEnumerable<CaptionedPicture> pictures) => [.. pictures.Select(picture => (picture.Caption, picture.First))];

    private static (string Caption, Picture Picture)[] BestOf(IEnumerable<CaptionedPicture> pictures) => [.. pictures.Select(picture => (picture.Caption, picture.Best))];
}

/// <summary>What a reranker says of the pictures of a <see cref="SceneEvaluation"/>.</summary>
/// <param name="ZeroShot">Of those of held-out captions.</param>
/// <param name="Seen">Of those of captions of seen pairs.</param>
internal sealed record SceneRerankerScores(RerankerScores ZeroShot, RerankerScores Seen);

/// <summary>The same of the best of several pictures, as the model's reranker finds.</summary>
/// <param name="Candidates">Pictures of each caption.</param>
/// <param name="ZeroShot">Figures on held-out captions.</param>
/// <param name="Seen">Figures on captions of seen pairs.</param>
internal sealed record BestOfScenes(int Candidates, ZeroShotReport ZeroShot, ZeroShotReport Seen);

/// <summary>The same drawn with 8-bit weights.</summary>
/// <param name="Tokens">What they do to the tokens.</param>
/// <param name="ZeroShot">Figures on held-out captions.</param>
/// <param name="Seen">Figures on captions of seen pairs.</param>
internal sealed record EightBitScenes(TokenAgreement Tokens, ZeroShotReport ZeroShot, ZeroShotReport Seen);
