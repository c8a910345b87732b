using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Silo.Http.Streaming;

namespace Dalle.Silo.Http.Images;

/// <summary>A picture on its way, or finished, in OpenAI's shape.</summary>
internal sealed record ImageEvent
{
    /// <summary>What happened, and to which kind of request.</summary>
    [AllowedValues("image_generation.partial_image", "image_generation.completed", "image_edit.partial_image", "image_edit.completed")]
    public required string Type { get; init; }

    /// <summary>A picture file, in base64. Of a partial image what is not drawn yet is white.</summary>
    [JsonPropertyName("b64_json")]
    public required ReadOnlyMemory<byte> File { get; init; }

    /// <summary>When the pictures were asked for, in seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Which of the n pictures, counted from 0.</summary>
    public required int ImageIndex { get; init; }

    public string Background { get; init; } = "opaque";

    /// <summary>png, jpeg or webp.</summary>
    public required string OutputFormat { get; init; }

    public string Quality { get; init; } = "auto";

    /// <summary>Width and height, in pixels.</summary>
    public required string Size { get; init; }

    /// <summary>With this seed the same request gives the same pictures.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Of a partial image: which of the picture's, counted from 0.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? PartialImageIndex { get; init; }

    /// <summary>Of a finished picture where candidates are ranked: how well it goes with the prompt, a cosine.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Score { get; init; }

    /// <summary>Of a finished picture: the tokens it took.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImageUsage? Usage { get; init; }

    /// <summary>The event as the stream carries it.</summary>
    public ServerEvent ToServerEvent() => new(Type, JsonSerializer.SerializeToUtf8Bytes(this, HttpJson.Api.ImageEvent));
}
