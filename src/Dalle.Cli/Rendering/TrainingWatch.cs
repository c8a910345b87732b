using Dalle.Cli.Hosting;
using Dalle.Contracts.Training;
using Dalle.Data.Pictures;
using Spectre.Console;

namespace Dalle.Cli.Rendering;

/// <summary>Follows a job's events to their end: as a live view, as plain lines, or as JSON Lines.</summary>
internal static class TrainingWatch
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RedrawInterval = TimeSpan.FromMilliseconds(150);

    /// <param name="context">Where to show it.</param>
    /// <param name="progress">What is known already; brought up to date.</param>
    /// <param name="title">The job in a few words.</param>
    /// <param name="events">The job's events.</param>
    /// <param name="cancellationToken">Ends the watch; the job is left alone.</param>
    public static async Task Follow(
        CommandContext context, TrainingProgress progress, string title, IAsyncEnumerable<TrainingEvent> events, CancellationToken cancellationToken)
    {
        if (context.Terminal.IsInteractive)
        {
            await Live(context, progress, title, events, cancellationToken);
            return;
        }

        var log = new TrainingLog(context.Terminal.Text, context.Clock, PlainInterval);
        await foreach (var next in events.WithCancellation(cancellationToken))
        {
            progress.Apply(next);
            context.Terminal.WriteJsonLine(next);
            log.Write(progress, next);
        }
    }

    private static Task Live(
        CommandContext context, TrainingProgress progress, string title, IAsyncEnumerable<TrainingEvent> events, CancellationToken cancellationToken)
    {
        var console = context.Terminal.Console;
        var live = console.Live(new Text(title)).Overflow(VerticalOverflow.Crop).Cropping(VerticalOverflowCropping.Bottom);
        return live.StartAsync(async screen =>
        {
            Picture? samples = null;
            var drawn = context.Clock.GetTimestamp();
            try
            {
                await foreach (var next in events.WithCancellation(cancellationToken))
                {
                    progress.Apply(next);
                    samples = next is SampleGridReady grid ? PictureDecoder.Decode(grid.Png.Span) : samples;
                    if (next is SampleGridReady or StageStarted || context.Clock.GetElapsedTime(drawn) >= RedrawInterval)
                    {
                        screen.UpdateTarget(TrainingView.Of(progress, title, samples));
                        drawn = context.Clock.GetTimestamp();
                    }
                }
            }
            finally
            {
                screen.UpdateTarget(TrainingView.Of(progress, title, samples));
            }
        });
    }
}
