using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Images;

/// <summary>What pictures are asked for, in OpenAI's shape; seed and how to sample are this system's own.</summary>
internal sealed class ImageRequest
{
    /// <summary>Parameters of OpenAI's that say nothing to these models, and are let through.</summary>
    private static readonly string[] Ignored = ["user", "quality", "style", "moderation", "background", "output_compression"];

    /// <summary>Id of a model; GET /v1/models lists them.</summary>
    [Required]
    public string Model { get; set; } = "";

    /// <summary>What the pictures show.</summary>
    [Required, MaxLength(GenerationRequest.MaxPromptLength)]
    public string Prompt { get; set; } = "";

    /// <summary>Pictures to draw.</summary>
    [Range(1, 64), DefaultValue(1)]
    public int? N { get; set; }

    /// <summary>The size of the model's pictures, such as 64x64, or auto.</summary>
    [DefaultValue("auto")]
    public string? Size { get; set; }

    /// <summary>How pictures are returned: b64_json, inside the answer.</summary>
    [AllowedValues("b64_json"), DefaultValue("b64_json")]
    public string? ResponseFormat { get; set; }

    /// <summary>The pictures' file format: png.</summary>
    [AllowedValues("png"), DefaultValue("png")]
    public string? OutputFormat { get; set; }

    /// <summary>Send the pictures as events, as they are drawn.</summary>
    [DefaultValue(false)]
    public bool? Stream { get; set; }

    /// <summary>Pictures sent on the way to each finished one; only with stream.</summary>
    [Range(0, 3), DefaultValue(0)]
    public int? PartialImages { get; set; }

    /// <summary>The same seed gives the same pictures. Default: a new one, which the answer tells.</summary>
    public ulong? Seed { get; set; }

    /// <summary>Sampling temperature. Default: the model's.</summary>
    public double? Temperature { get; set; }

    /// <summary>Draw only from the k most likely tokens. Default: the model's.</summary>
    public int? TopK { get; set; }

    /// <summary>Draw only from the most likely tokens up to this probability. Default: the model's.</summary>
    public double? TopP { get; set; }

    /// <summary>Classifier-free guidance, 1 for none. Default: the model's.</summary>
    public double? Guidance { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Checks what can be checked without the model.</summary>
    /// <exception cref="ApiException">A parameter's value cannot be used; it is named.</exception>
    public void Check()
    {
        if (Others?.Keys.Except(Ignored).FirstOrDefault() is { } unknown)
        {
            throw ApiException.Unknown(unknown);
        }

        if (string.IsNullOrEmpty(Model))
        {
            throw ApiException.Missing("model", "the id of a model (GET /v1/models lists them)");
        }

        if (string.IsNullOrWhiteSpace(Prompt))
        {
            throw ApiException.Missing("prompt", "what the pictures show");
        }

        Require(ResponseFormat is null or "b64_json", "response_format", "b64_json (this server keeps no pictures to point at)", ResponseFormat);
        Require(OutputFormat is null or "png", "output_format", "png", OutputFormat);
        Require(PartialImages is null or (>= 0 and <= 3), "partial_images", "0 to 3", PartialImages);
        Require(PartialImages is null or 0 || Stream == true, "partial_images", "0 without stream", PartialImages);
    }

    /// <summary>The request as the cluster takes it.</summary>
    /// <param name="model">The model it names.</param>
    /// <param name="newSeed">The seed if it names none.</param>
    /// <exception cref="ApiException">The size is not the model's.</exception>
    public GenerationRequest For(ModelManifest model, ulong newSeed)
    {
        var size = ImageSize.Of(model);
        Require(Size is null or "auto" || Size == size, "size", $"auto or {size}, which is what model '{model.Name}' draws", Size);
        return new GenerationRequest
        {
            Model = model.Name,
            Prompt = Prompt,
            Candidates = N ?? 1,
            Seed = Seed ?? newSeed,
            PartialPictures = PartialImages ?? 0,
            Temperature = Temperature,
            TopK = TopK,
            TopP = TopP,
            Guidance = Guidance,
        };
    }

    private static void Require(bool holds, string parameter, string expected, object? found)
    {
        if (!holds)
        {
            throw ApiException.Invalid(parameter, expected, found is string text ? $"'{text}'" : found);
        }
    }
}

/// <summary>Sizes of pictures as the API writes them.</summary>
internal static class ImageSize
{
    public static string Of(ModelManifest model) => FormattableString.Invariant($"{model.ImageSize}x{model.ImageSize}");
}
