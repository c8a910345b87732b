using System.ComponentModel;
using System.Text.Json.Serialization;

namespace Dalle.Silo.Http.Images;

/// <summary>Finished pictures, in OpenAI's shape.</summary>
internal sealed record ImagesAnswer
{
    [Description("When they were asked for, in seconds since 1970.")]
    public required long Created { get; init; }

    [Description("The pictures, in order.")]
    public required IReadOnlyList<ImageObject> Data { get; init; }

    public string Background { get; } = "opaque";

    public string OutputFormat { get; } = "png";

    public string Quality { get; } = "auto";

    [Description("Width and height of each picture, in pixels.")]
    public required string Size { get; init; }

    public required ImageUsage Usage { get; init; }

    [Description("The model that drew them.")]
    public required string Model { get; init; }

    [Description("With this seed the same request gives the same pictures.")]
    public required ulong Seed { get; init; }
}

/// <summary>One picture.</summary>
internal sealed record ImageObject
{
    [JsonPropertyName("b64_json"), Description("A PNG file, in base64.")]
    public required ReadOnlyMemory<byte> Png { get; init; }
}

/// <summary>Tokens that pictures took.</summary>
internal sealed record ImageUsage
{
    [Description("Input and output tokens.")]
    public int TotalTokens => InputTokens + OutputTokens;

    [Description("Text tokens of the prompt.")]
    public required int InputTokens { get; init; }

    [Description("Image tokens drawn.")]
    public required int OutputTokens { get; init; }

    public InputTokenDetails InputTokensDetails => new(InputTokens, 0);
}

/// <summary>What the input tokens were.</summary>
internal sealed record InputTokenDetails(int TextTokens, int ImageTokens);
