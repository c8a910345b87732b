using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dalle.Contracts.Training;
using Dalle.Silo.Http.Errors;
using Dalle.Silo.Http.Images;
using Dalle.Silo.Http.Jobs;
using Dalle.Silo.Http.Models;
using Dalle.Silo.Http.Streaming;

namespace Dalle.Silo.Http;

/// <summary>How the API reads and writes JSON: OpenAI's way, with names like_this.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DictionaryKeyPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.Strict,
    RespectNullableAnnotations = true,
    Converters = [typeof(PlainEnum<TrainingPhase>), typeof(PlainEnum<TrainingStage>), typeof(PlainEnum<RecoveryMode>)])]
[JsonSerializable(typeof(ApiErrorBody))]
[JsonSerializable(typeof(StreamError))]
[JsonSerializable(typeof(ImageGenerationRequest))]
[JsonSerializable(typeof(ImageEditRequest))]
[JsonSerializable(typeof(ImageVariationRequest))]
[JsonSerializable(typeof(ImagesAnswer))]
[JsonSerializable(typeof(ImageEvent))]
[JsonSerializable(typeof(ModelObject))]
[JsonSerializable(typeof(ObjectList<ModelObject>))]
[JsonSerializable(typeof(JobRequest))]
[JsonSerializable(typeof(ResumeRequest))]
[JsonSerializable(typeof(JobObject))]
[JsonSerializable(typeof(ObjectList<JobObject>))]
[JsonSerializable(typeof(TrainingEvent))]
internal sealed partial class HttpJson : JsonSerializerContext
{
    /// <summary>The options as they are meant: answers are never part of a page, so quotes and letters stay as they are.</summary>
    public static HttpJson Api => field ??= new(new(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>The same for training events: their figures may be infinite or no numbers, and that must be told.</summary>
    public static HttpJson Events => field ??= new(new(Api.Options) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals });

    /// <summary>The same for the framework, which makes options of its own.</summary>
    public static void Configure(JsonSerializerOptions options)
    {
        var own = Api.Options;
        options.Encoder = own.Encoder;
        options.PropertyNamingPolicy = own.PropertyNamingPolicy;
        options.PropertyNameCaseInsensitive = own.PropertyNameCaseInsensitive;
        options.DictionaryKeyPolicy = own.DictionaryKeyPolicy;
        options.NumberHandling = own.NumberHandling;
        options.RespectNullableAnnotations = own.RespectNullableAnnotations;
        options.TypeInfoResolver = Default;
        foreach (var converter in own.Converters)
        {
            options.Converters.Add(converter);
        }
    }

    /// <summary>Values of an enumeration, like_this.</summary>
    private sealed class PlainEnum<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false)
        where T : struct, Enum;
}
