using System.Text.Json.Serialization;

namespace Dalle.Silo.Http.Images;

/// <summary>Finished pictures, in OpenAI's shape.</summary>
internal sealed record ImagesAnswer
{
    /// <summary>When they were asked for, in seconds since 1970.</summary>
    public required long Created { get; init; }

    /// <summary>The pictures, in order.</summary>
    public required IReadOnlyList<ImageObject> Data { get; init; }

    public string Background { get; init; } = "opaque";

    public string OutputFormat { get; init; } = "png";

    public string Quality { get; init; } = "auto";

    /// <summary>Width and height of each picture, in pixels.</summary>
    public required string Size { get; init; }

    public required ImageUsage Usage { get; init; }

    /// <summary>The model that drew them.</summary>
    public required string Model { get; init; }

    /// <summary>With this seed the same request gives the same pictures.</summary>
    public required ulong Seed { get; init; }
}

/// <summary>One picture.</summary>
internal sealed record ImageObject
{
    /// <summary>A PNG file, in base64.</summary>
    [JsonPropertyName("b64_json")]
    public required ReadOnlyMemory<byte> Png { get; init; }
}

/// <summary>Tokens that pictures took.</summary>
internal sealed record ImageUsage
{
    /// <summary>Input and output tokens.</summary>
    public int TotalTokens => InputTokens + OutputTokens;

    /// <summary>Text tokens of the prompt.</summary>
    public required int InputTokens { get; init; }

    /// <summary>Image tokens drawn.</summary>
    public required int OutputTokens { get; init; }

    public InputTokenDetails InputTokensDetails => new(InputTokens, 0);
}

/// <summary>What the input tokens were.</summary>
internal sealed record InputTokenDetails(int TextTokens, int ImageTokens);
