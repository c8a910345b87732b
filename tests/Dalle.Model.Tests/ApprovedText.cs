using System.Globalization;
using System.Runtime.CompilerServices;

namespace Dalle.Model.Tests;

/// <summary>Compares lines with an approved file beside the tests' sources. On a difference the new lines are written to a <c>.received</c> file, to be looked at and renamed.</summary>
internal static class ApprovedText
{
    /// <param name="path">The approved file, relative to the test project.</param>
    /// <param name="lines">What came.</param>
    /// <param name="tolerance">Words that are numbers may differ by this much.</param>
    public static void Matches(string path, IEnumerable<string> lines, double tolerance = 0)
    {
        var approved = Path.Combine(ProjectFolder(), path);
        var received = Path.ChangeExtension(approved, ".received.txt");
        var actual = lines.ToArray();
        var expected = File.Exists(approved) ? File.ReadAllLines(approved) : [];
        if (expected.Length == actual.Length && expected.Zip(actual).All(pair => Same(pair.First, pair.Second, tolerance)))
        {
            File.Delete(received);
            return;
        }

        File.WriteAllLines(received, actual);
        Assert.Fail($"{path} does not hold what the code gives. Look at {received}; if it is right, rename it.");
    }

    private static bool Same(string expected, string actual, double tolerance)
    {
        var (left, right) = (expected.Split(' '), actual.Split(' '));
        return left.Length == right.Length && left.Zip(right).All(pair => pair.First == pair.Second
            || (Number(pair.First) is { } a && Number(pair.Second) is { } b && Math.Abs(a - b) <= tolerance));
    }

    private static double? Number(string word) => double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : null;

    private static string ProjectFolder([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
