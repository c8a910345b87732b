using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Silo.Http.Streaming;

namespace Dalle.Silo.Http.Images;

/// <summary>A picture on its way, in OpenAI's shape.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PartialImage), PartialImage.Type)]
[JsonDerivedType(typeof(CompletedImage), CompletedImage.Type)]
internal abstract record ImageEvent
{
    /// <summary>A PNG file, in base64.</summary>
    [JsonPropertyName("b64_json")]
    public required ReadOnlyMemory<byte> Png { get; init; }

    /// <summary>When the pictures were asked for, in seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Which of the n pictures, counted from 0.</summary>
    public required int ImageIndex { get; init; }

    public string Background { get; init; } = "opaque";

    public string OutputFormat { get; init; } = "png";

    public string Quality { get; init; } = "auto";

    /// <summary>Width and height, in pixels.</summary>
    public required string Size { get; init; }

    /// <summary>With this seed the same request gives the same pictures.</summary>
    public required ulong Seed { get; init; }

    /// <summary>The event as the stream carries it.</summary>
    public ServerEvent ToServerEvent() => new(
        this is PartialImage ? PartialImage.Type : CompletedImage.Type, JsonSerializer.SerializeToUtf8Bytes(this, HttpJson.Api.ImageEvent));
}

/// <summary>The rows drawn so far; the rest is white.</summary>
internal sealed record PartialImage : ImageEvent
{
    public const string Type = "image_generation.partial_image";

    /// <summary>Which of the picture's partial images, counted from 0.</summary>
    public required int PartialImageIndex { get; init; }
}

/// <summary>A finished picture.</summary>
internal sealed record CompletedImage : ImageEvent
{
    public const string Type = "image_generation.completed";

    public required ImageUsage Usage { get; init; }
}
