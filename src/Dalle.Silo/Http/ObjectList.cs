namespace Dalle.Silo.Http;

/// <summary>A list, in OpenAI's shape.</summary>
internal sealed record ObjectList<T>(IReadOnlyList<T> Data)
{
    public string Object { get; init; } = "list";
}
