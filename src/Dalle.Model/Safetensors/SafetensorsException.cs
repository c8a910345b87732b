namespace Dalle.Model.Safetensors;

/// <summary>A safetensors file, or the manifest beside one, that is not what it should be: damaged, hostile, or of another network.</summary>
/// <param name="path">The file.</param>
/// <param name="problem">What was expected and what came.</param>
public sealed class SafetensorsException(string path, string problem) : IOException($"'{path}': {problem}")
{
    /// <summary>The file.</summary>
    public string Path { get; } = path;
}
