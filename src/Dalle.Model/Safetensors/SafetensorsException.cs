namespace Dalle.Model.Safetensors;

/// <summary>A safetensors file, the manifest beside it, or a checkpoint as a whole that is not what it should be: damaged, hostile, or of another network.</summary>
/// <param name="path">The file; a checkpoint's folder where it is of several files.</param>
/// <param name="problem">What was expected and what came.</param>
public sealed class SafetensorsException(string path, string problem) : IOException($"'{path}': {problem}")
{
    private const int Shown = 8;

    /// <summary>The file; a checkpoint's folder where it is of several files.</summary>
    public string Path { get; } = path;

    /// <summary>Tensors are missing, too many, or other ones.</summary>
    /// <param name="path">Where.</param>
    /// <param name="what">What holds them, in one word.</param>
    /// <param name="problems">What is wrong with each, at least one.</param>
    internal static SafetensorsException OfAnotherNetwork(string path, string what, IReadOnlyCollection<string> problems)
    {
        var more = problems.Count > Shown ? $"; and {problems.Count - Shown} more" : "";
        return new(path, $"the {what} holds another network or configuration than expected: {string.Join("; ", problems.Take(Shown))}{more}.");
    }
}
