using Dalle.Cli.Evaluation;
using Dalle.Data.Scenes;
using Spectre.Console;

namespace Dalle.Cli.Rendering;

/// <summary>A scene evaluation as a table: every rate on held-out captions and on seen ones.</summary>
internal static class SceneEvaluationTable
{
    public static Table Of(SceneEvaluation evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("right in", "held-out pairs", "seen pairs");
        foreach (var (name, rate) in Rates)
        {
            table.AddRow(name, Figures.Percent(rate(evaluation.ZeroShot)), Figures.Percent(rate(evaluation.Seen)));
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
