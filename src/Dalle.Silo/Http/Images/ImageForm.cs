using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Dalle.Silo.Http.Images;

/// <summary>Reads requests that bring pictures: as a form with files, or as JSON.</summary>
internal static class ImageForm
{
    /// <summary>Largest body: two files, in base64.</summary>
    public const long MaxBytes = 48 << 20;

    private const int MaxFields = 64, MaxFieldLength = 64 << 10;

    private static readonly FormOptions Options = new() { MultipartBodyLengthLimit = MaxBytes, ValueCountLimit = MaxFields, ValueLengthLimit = MaxFieldLength };

    /// <summary>The request and its files, by name; <c>image[]</c> is <c>image</c>.</summary>
    /// <exception cref="ApiException">A field's value cannot be used; it is named.</exception>
    /// <exception cref="BadHttpRequestException">The body is neither, or cannot be read.</exception>
    public static async Task<(T Body, IReadOnlyDictionary<string, byte[]> Files)> Read<T>(HttpContext context, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : ImageRequest
    {
        if (!context.Request.HasFormContentType)
        {
            return (await ReadJson(context.Request, type, cancellationToken), new Dictionary<string, byte[]>());
        }

        context.Features.Set<IFormFeature>(new FormFeature(context.Request, Options));
        IFormCollection form;
        try
        {
            form = await context.Request.ReadFormAsync(cancellationToken);
        }
        catch (InvalidDataException error)
        {
            throw new BadHttpRequestException(error.Message, error);
        }

        return (ReadFields(form, type), await ReadFiles(form, cancellationToken));
    }

    private static async Task<T> ReadJson<T>(HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        if (!request.HasJsonContentType())
        {
            throw new BadHttpRequestException("Expected multipart/form-data or application/json.", StatusCodes.Status415UnsupportedMediaType);
        }

        try
        {
            return await JsonSerializer.DeserializeAsync(request.Body, type, cancellationToken) ?? throw new BadHttpRequestException("Expected a JSON object.");
        }
        catch (JsonException error)
        {
            throw new BadHttpRequestException(error.Message, error);
        }
    }

    /// <summary>The form's fields, as if they had come in JSON: their parameters and checks are the same.</summary>
    private static T ReadFields<T>(IFormCollection form, JsonTypeInfo<T> type)
    {
        var body = new JsonObject();
        foreach (var (name, values) in form)
        {
            if (values.Count != 1)
            {
                throw ApiException.Invalid(name, "one value", $"{values.Count}");
            }

            var property = type.Properties.FirstOrDefault(property => property.Name == name);
            body[name] = property is null || property.PropertyType == typeof(string) || property.PropertyType == typeof(JsonElement?) ? values[0] : Literal(values[0]);
        }

        try
        {
            return body.Deserialize(type)!;
        }
        catch (JsonException error)
        {
            throw new BadHttpRequestException(error.Message, error);
        }
    }

    /// <summary>A number or a truth value, if it is one.</summary>
    private static JsonNode? Literal(string? text)
    {
        try
        {
            return JsonNode.Parse(text ?? "") is JsonValue value ? value : text;
        }
        catch (JsonException)
        {
            return text;
        }
    }

    private static async Task<IReadOnlyDictionary<string, byte[]>> ReadFiles(IFormCollection form, CancellationToken cancellationToken)
    {
        var files = new Dictionary<string, byte[]>();
        foreach (var file in form.Files)
        {
            var name = file.Name.EndsWith("[]", StringComparison.Ordinal) ? file.Name[..^2] : file.Name;
            if (name is not ("image" or "mask"))
            {
                throw ApiException.Unknown(file.Name);
            }

            if (file.Length is 0 or > PictureFiles.MaxBytes)
            {
                throw ApiException.Invalid(name, $"a file of 1 to {PictureFiles.MaxBytes} bytes", $"{file.Length} bytes");
            }

            using var bytes = new MemoryStream((int)file.Length);
            await file.CopyToAsync(bytes, cancellationToken);
            if (!files.TryAdd(name, bytes.ToArray()))
            {
                throw ApiException.Invalid(name, "one picture, which is what these models go on from", "several");
            }
        }

        return files;
    }
}
