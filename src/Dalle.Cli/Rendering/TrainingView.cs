using Dalle.Contracts.Training;
using Dalle.Data.Pictures;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dalle.Cli.Rendering;

/// <summary>A job on the screen: its stages, how far the present one is, the loss curve, the figures and the newest picture grid.</summary>
internal static class TrainingView
{
    private const int BarWidth = 50;

    public static IRenderable Of(TrainingProgress progress, string title, Picture? samples)
    {
        var rows = new List<IRenderable> { new Markup($"[bold]{Markup.Escape(title)}[/]"), Stages(progress), Bar(progress) };
        if (progress.Losses.Points.Count > 1)
        {
            rows.Add(new LossCurve(progress.Losses.Points));
        }

        if (TrainingFigures.Of(progress) is { } figures)
        {
            rows.Add(new Text(figures));
        }

        if (samples is not null)
        {
            rows.Add(new HalfBlockPicture(samples));
        }

        return new Rows(rows);
    }

    private static Markup Stages(TrainingProgress progress) => new(string.Join("  ", TrainingStages.InOrder.Select(stage =>
        progress.Finished.TryGetValue(stage, out var seconds) ? $"[green]\u2713 {StageNames.Of(stage)} {Figures.Duration(TimeSpan.FromSeconds(seconds))}[/]"
        : stage == progress.Stage ? $"[bold]\u25cf {StageNames.Of(stage)}[/]"
        : $"[grey]\u00b7 {StageNames.Of(stage)}[/]")));

    private static Markup Bar(TrainingProgress progress)
    {
        var filled = (int)Math.Round(BarWidth * (progress.Share ?? 0));
        var remaining = progress.Remaining is { } time ? $"  {Figures.Duration(time)} left" : "";
        return new($"[aqua]{new string('\u2501', filled)}[/][grey]{new string('\u2501', BarWidth - filled)}[/]  {Markup.Escape(TrainingFigures.Position(progress))}{remaining}");
    }
}
