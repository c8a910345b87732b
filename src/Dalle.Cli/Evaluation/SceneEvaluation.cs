using Dalle.Client;
using Dalle.Data.Scenes;

namespace Dalle.Cli.Evaluation;

/// <summary>How well a model of scenes draws what it is asked for: captions with pairs of colour and shape it never saw, and captions of seen pairs beside them.</summary>
/// <param name="ZeroShot">Figures on held-out captions.</param>
/// <param name="Seen">Figures on captions of seen pairs.</param>
/// <param name="Seconds">Time of drawing and reading.</param>
internal sealed record SceneEvaluation(ZeroShotReport ZeroShot, ZeroShotReport Seen, double Seconds)
{
    /// <summary>The first caption's seed: one fixed protocol, so that figures can be compared.</summary>
    private const ulong Seed = 1;

    /// <param name="client">The cluster.</param>
    /// <param name="model">Name of a published model.</param>
    /// <param name="captions">Captions of each kind.</param>
    /// <param name="clock">Measures the time.</param>
    /// <param name="drawn">Told the number of pictures done, of twice <paramref name="captions"/>.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<SceneEvaluation> Run(
        DalleClient client, string model, int captions, TimeProvider clock, Action<int> drawn, CancellationToken cancellationToken)
    {
        var began = clock.GetTimestamp();
        var asked = new[] { ZeroShotCaptions.HeldOut(captions), ZeroShotCaptions.Seen(captions) };
        var pictures = await new CaptionedPictures(client, model, Seed).Draw([.. asked[0], .. asked[1]], drawn, cancellationToken);
        var (heldOut, seen) = (ZeroShotReport.Of(pictures.Take(captions)), ZeroShotReport.Of(pictures.Skip(captions)));
        return new(heldOut, seen, clock.GetElapsedTime(began).TotalSeconds);
    }
}
