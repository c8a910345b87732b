using Dalle.Cli.Evaluation;
using Dalle.Data.Scenes;
using Spectre.Console;

namespace Dalle.Cli.Rendering;

/// <summary>A scene evaluation as a table: every rate on held-out captions and on seen ones, what the best of several and 8-bit weights come to, and what the model's reranker says of the pictures if it has one.</summary>
internal static class SceneEvaluationTable
{
    public static Table Of(SceneEvaluation evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("right in", "held-out pairs", "seen pairs");
        foreach (var (name, rate) in Rates)
        {
            table.AddRow(name, Figures.Percent(rate(evaluation.ZeroShot)), Figures.Percent(rate(evaluation.Seen)));
        }

        if (evaluation.Best is { } best)
        {
            table.AddRow($"everything but size, the best of {best.Candidates}", Figures.Percent(best.ZeroShot.Accuracy), Figures.Percent(best.Seen.Accuracy));
        }

        if (evaluation.EightBit is { } eightBit)
        {
            table.AddRow("everything but size, 8-bit weights", Figures.Percent(eightBit.ZeroShot.Accuracy), Figures.Percent(eightBit.Seen.Accuracy));
            table.AddRow("  share of tokens that stay the same", Figures.Loss(eightBit.Tokens.Drawn), "");
        }

        if (evaluation.Reranker is { ZeroShot: var heldOut, Seen: var seen })
        {
            table.AddRow("reranker's mean score", Figures.Loss(heldOut.Score), Figures.Loss(seen.Score));
            table.AddRow($"  finds the caption among {heldOut.Retrieval.BatchSize}", Figures.Percent(heldOut.Retrieval.ImageToText), Figures.Percent(seen.Retrieval.ImageToText));
            table.AddRow($"  finds the picture among {heldOut.Retrieval.BatchSize}", Figures.Percent(heldOut.Retrieval.TextToImage), Figures.Percent(seen.Retrieval.TextToImage));
        }

        return table;
    }

    private static (string Name, Func<ZeroShotReport, double> Rate)[] Rates { get; } =
    [
        ("everything but size", report => report.Accuracy),
        ("  one object", report => report.AccuracyOfOne),
        ("  two objects", report => report.AccuracyOfTwo),
        ("count", report => report.CountRate),
        ("colours", report => report.ColorRate),
        ("shapes", report => report.ShapeRate),
        ("relation (two objects)", report => report.RelationRate),
        ("sizes", report => report.SizeRate),
    ];
}
