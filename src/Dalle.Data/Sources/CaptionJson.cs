using System.Text.Json;

namespace Dalle.Data.Sources;

/// <summary>Captions in a sample's JSON record: "captions" (array of strings), else "caption" (string).</summary>
internal static class CaptionJson
{
    /// <summary>The captions; empty if there are none.</summary>
    /// <exception cref="JsonException">Not JSON.</exception>
    public static string[] Read(ReadOnlyMemory<byte> utf8)
    {
        using var json = JsonDocument.Parse(utf8);
        if (json.RootElement.ValueKind != JsonValueKind.Object)
        {
            return [];
        }
        if (json.RootElement.TryGetProperty("captions", out var captions) && captions.ValueKind == JsonValueKind.Array)
        {
            return [.. captions.EnumerateArray().Select(Text).OfType<string>()];
        }
        return json.RootElement.TryGetProperty("caption", out var caption) && Text(caption) is { } text ? [text] : [];
    }

    /// <summary>A string's text; null for anything else, and for a string that is not valid Unicode.</summary>
    public static string? Text(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
