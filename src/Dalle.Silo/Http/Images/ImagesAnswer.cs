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

    /// <summary>png, jpeg or webp.</summary>
    public required string OutputFormat { get; init; }

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
    /// <summary>A picture file, in base64.</summary>
    [JsonPropertyName("b64_json"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ReadOnlyMemory<byte>? File { get; init; }

    /// <summary>Where the picture file can be fetched for an hour; whoever knows the address may.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Url { get; init; }

    /// <summary>Where candidates were ranked: how well the picture goes with the prompt, a cosine.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Score { get; init; }
}

/// <summary>Tokens that pictures took.</summary>
internal sealed record ImageUsage
{
    /// <summary>Input and output tokens.</summary>
    public int TotalTokens => InputTokens + OutputTokens;

    /// <summary>Text tokens of the prompt and image tokens of the picture to go on from.</summary>
    public int InputTokens => InputTokensDetails.TextTokens + InputTokensDetails.ImageTokens;

    /// <summary>Image tokens drawn.</summary>
    public required int OutputTokens { get; init; }

    public required InputTokenDetails InputTokensDetails { get; init; }
}

/// <summary>What the input tokens were.</summary>
internal sealed record InputTokenDetails(int TextTokens, int ImageTokens);
