using Dalle.Cli.Hosting;
using Dalle.Contracts.Models;
using Dalle.Data.Scenes;
using Dalle.Workers.Models;

namespace Dalle.Cli.Evaluation;

/// <summary>How well a model of scenes draws what it is asked for: captions with pairs of colour and shape it never saw, and captions of seen pairs beside them.</summary>
/// <param name="ZeroShot">Figures on held-out captions.</param>
/// <param name="Seen">Figures on captions of seen pairs.</param>
/// <param name="Seconds">Time of drawing and reading.</param>
/// <param name="Reranker">What the model's reranker says of the same pictures; null if it has none.</param>
internal sealed record SceneEvaluation(ZeroShotReport ZeroShot, ZeroShotReport Seen, double Seconds, SceneRerankerScores? Reranker)
{
    /// <summary>The first caption's seed: one fixed protocol, so that figures can be compared.</summary>
    private const ulong Seed = 1;

    /// <param name="cluster">Where the model is published.</param>
    /// <param name="model">The model.</param>
    /// <param name="captions">Captions of each kind.</param>
    /// <param name="clock">Measures the time.</param>
    /// <param name="drawn">Told the number of pictures done, of twice <paramref name="captions"/>.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<SceneEvaluation> Run(
        ClusterConnection cluster, ModelManifest model, int captions, TimeProvider clock, Action<int> drawn, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        var asked = new[] { ZeroShotCaptions.HeldOut(captions), ZeroShotCaptions.Seen(captions) };
        var pictures = await new CaptionedPictures(cluster.Client, model.Name, Seed).Draw([.. asked[0], .. asked[1]], drawn, cancellationToken);
        var (heldOut, seen) = (pictures.Take(captions).ToArray(), pictures.Skip(captions).ToArray());
        var scores = await PublishedReranker.Measure(cluster, model, [heldOut, seen], cancellationToken);
        return new(
            ZeroShotReport.Of(heldOut), ZeroShotReport.Of(seen), clock.GetElapsedTime(began).TotalSeconds, scores is null ? null : new(scores[0], scores[1]));
    }
}

/// <summary>What a reranker says of the pictures of a <see cref="SceneEvaluation"/>.</summary>
/// <param name="ZeroShot">Of those of held-out captions.</param>
/// <param name="Seen">Of those of captions of seen pairs.</param>
internal sealed record SceneRerankerScores(RerankerScores ZeroShot, RerankerScores Seen);
