using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Data.Pictures;
using Dalle.Silo.Http.Errors;

namespace Dalle.Silo.Http.Images;

/// <summary>What all requests for pictures say, in OpenAI's shape; seed and how to sample are this system's own.</summary>
internal abstract class ImageRequest
{
    private const int SmallestSize = 16, LargestSize = 2048;

    /// <summary>Parameters of OpenAI's that say nothing to these models, and are let through.</summary>
    private static readonly string[] Ignored = ["quality", "style", "moderation", "background", "input_fidelity"];

    /// <summary>Id of a model; GET /v1/models lists them.</summary>
    [Required]
    public string Model { get; set; } = "";

    /// <summary>Pictures to draw.</summary>
    [Range(1, 64), DefaultValue(1)]
    public int? N { get; set; }

    /// <summary>Pictures to draw in all, of which the n best are returned, the best first, as the model's reranker finds. Default: n, unranked.</summary>
    [Range(1, 64)]
    public int? Candidates { get; set; }

    /// <summary>Height and width that pictures are scaled to, such as 512x512, or auto for the size the model draws.</summary>
    [DefaultValue("auto")]
    public string? Size { get; set; }

    /// <summary>How pictures are returned: b64_json, inside the answer, or url, to be fetched within the hour.</summary>
    [AllowedValues("b64_json", "url"), DefaultValue("b64_json")]
    public string? ResponseFormat { get; set; }

    /// <summary>The pictures' file format: png, jpeg or webp.</summary>
    [AllowedValues("png", "jpeg", "webp"), DefaultValue("png")]
    public string? OutputFormat { get; set; }

    /// <summary>Quality of jpeg and webp files.</summary>
    [Range(0, 100), DefaultValue(100)]
    public int? OutputCompression { get; set; }

    /// <summary>Send the pictures as events, as they are drawn.</summary>
    [DefaultValue(false)]
    public bool? Stream { get; set; }

    /// <summary>Pictures sent on the way to each finished one; only with stream.</summary>
    [Range(0, 3), DefaultValue(0)]
    public int? PartialImages { get; set; }

    /// <summary>Whom the pictures are for: where many wait, users take turns.</summary>
    [MaxLength(GenerationRequest.MaxCallerLength)]
    public string? User { get; set; }

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

    /// <summary>Seconds after which the request is refused if it has not been begun. Default: it waits.</summary>
    public double? MaxWait { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Whether pictures are returned as addresses.</summary>
    [JsonIgnore]
    public bool AsUrl => ResponseFormat == "url";

    /// <summary>What the pictures show.</summary>
    protected abstract string Text { get; }

    /// <summary>Checks what can be checked without the model.</summary>
    /// <exception cref="ApiException">A parameter's value cannot be used; it is named.</exception>
    public virtual void Check()
    {
        if (Others?.Keys.Except(Ignored).FirstOrDefault() is { } unknown)
        {
            throw ApiException.Unknown(unknown);
        }

        if (string.IsNullOrEmpty(Model))
        {
            throw ApiException.Missing("model", "the id of a model (GET /v1/models lists them)");
        }

        Require(Candidates is null || (Candidates >= (N ?? 1) && Candidates <= 64), "candidates", $"{N ?? 1} to 64, at least n", Candidates);
        Require(Size is null or "auto" || TrySize(out _), "size", $"auto or a square of {SmallestSize}x{SmallestSize} to {LargestSize}x{LargestSize} pixels", Size);
        Require(ResponseFormat is null or "b64_json" or "url", "response_format", "b64_json or url", ResponseFormat);
        Require(ResponseFormat is not "url" || Stream != true, "response_format", "b64_json with stream", ResponseFormat);
        Require(OutputFormat is null or "png" or "jpeg" or "webp", "output_format", "png, jpeg or webp", OutputFormat);
        Require(OutputCompression is null or (>= 0 and <= 100), "output_compression", "0 to 100", OutputCompression);
        Require(OutputCompression is null or 100 || OutputFormat is "jpeg" or "webp", "output_compression", "100 for png files, which lose nothing", OutputCompression);
        Require(PartialImages is null or (>= 0 and <= 3), "partial_images", "0 to 3", PartialImages);
        Require(PartialImages is null or 0 || Stream == true, "partial_images", "0 without stream", PartialImages);
        Require(MaxWait is null or (> 0 and <= 3600), "max_wait", "above 0, at most 3600 seconds", MaxWait);
    }

    /// <summary>The request as the cluster takes it.</summary>
    /// <param name="newSeed">The seed if it names none.</param>
    /// <param name="caller">Whom the request came from; null to go by <see cref="User"/>.</param>
    public virtual GenerationRequest ToGenerationRequest(ulong newSeed, string? caller) => new()
    {
        Model = Model,
        Prompt = Text,
        Candidates = Candidates ?? N ?? 1,
        Keep = Candidates is null ? null : N ?? 1,
        Seed = Seed ?? newSeed,
        PartialPictures = PartialImages ?? 0,
        Temperature = Temperature,
        TopK = TopK,
        TopP = TopP,
        Guidance = Guidance,
        Caller = caller ?? (string.IsNullOrEmpty(User) ? null : User),
        MaxWait = MaxWait is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
    };

    /// <summary>How the pictures are written.</summary>
    public PictureOutput Output(ModelManifest model) => new(
        OutputFormat switch { "jpeg" => PictureFormat.Jpeg, "webp" => PictureFormat.WebP, _ => PictureFormat.Png },
        OutputCompression ?? 100,
        TrySize(out var size) ? size : model.ImageSize);

    protected static void RequirePrompt(string prompt)
    {
        if (string.IsNullOrWhiteSpace(prompt))
        {
            throw ApiException.Missing("prompt", "what the pictures show");
        }
    }

    protected static void Require(bool holds, string parameter, string expected, object? found)
    {
        if (!holds)
        {
            throw ApiException.Invalid(parameter, expected, found is string text ? $"'{text}'" : found);
        }
    }

    private bool TrySize(out int size)
    {
        size = 0;
        return Size?.Split('x') is [var width, var height] && width == height
            && int.TryParse(width, NumberStyles.None, CultureInfo.InvariantCulture, out size) && size is >= SmallestSize and <= LargestSize;
    }
}

/// <summary>Pictures for a prompt.</summary>
internal sealed class ImageGenerationRequest : ImageRequest
{
    /// <summary>What the pictures show.</summary>
    [Required, MaxLength(GenerationRequest.MaxPromptLength)]
    public string Prompt { get; set; } = "";

    protected override string Text => Prompt;

    public override void Check()
    {
        base.Check();
        RequirePrompt(Prompt);
    }
}

/// <summary>Pictures that go on from a part of another one.</summary>
internal sealed class ImageEditRequest : ImageRequest
{
    /// <summary>What the pictures show, the part that is kept included.</summary>
    [Required, MaxLength(GenerationRequest.MaxPromptLength)]
    public string Prompt { get; set; } = "";

    /// <summary>The picture: a file of the form, or in JSON a data URL, or an object or list with one.</summary>
    public JsonElement? Image { get; set; }

    /// <summary>The same, in the shape of OpenAI's JSON.</summary>
    public JsonElement? Images { get; set; }

    /// <summary>A picture of the same size, transparent where it is drawn anew. Default: the picture's own transparency; if there is none, half of it.</summary>
    public JsonElement? Mask { get; set; }

    protected override string Text => Prompt;

    public override void Check()
    {
        base.Check();
        RequirePrompt(Prompt);
    }
}

/// <summary>Pictures like another one.</summary>
internal sealed class ImageVariationRequest : ImageRequest
{
    /// <summary>The picture: a file of the form, or in JSON a data URL, or an object or list with one.</summary>
    public JsonElement? Image { get; set; }

    /// <summary>Share of the picture's tokens that are drawn anew, above 0, at most 1.</summary>
    [DefaultValue(PictureToComplete.UsualShare)]
    public double? Share { get; set; }

    /// <summary>What the pictures show, for a model that varies better when it is told.</summary>
    [MaxLength(GenerationRequest.MaxPromptLength)]
    public string? Prompt { get; set; }

    protected override string Text => Prompt ?? "";

    public override void Check()
    {
        base.Check();
        Require(Share is null or (> 0 and <= 1), "share", "above 0, at most 1", Share);
    }
}
