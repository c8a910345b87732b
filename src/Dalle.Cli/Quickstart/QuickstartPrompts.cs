namespace Dalle.Cli.Quickstart;

/// <summary>What the quickstart draws. Every prompt has one object of a pair of colour and shape that training never shows.</summary>
internal static class QuickstartPrompts
{
    public static IReadOnlyList<string> All { get; } =
    [
        "a large red triangle",
        "a large green circle left of a small blue square",
        "a small yellow circle above a large blue cross",
        "a picture of a large purple circle below a small red square",
    ];
}
