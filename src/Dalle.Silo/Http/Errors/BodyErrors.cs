using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;

namespace Dalle.Silo.Http.Errors;

/// <summary>Says what is wrong with a body that is not what its endpoint reads.</summary>
internal static class BodyErrors
{
    public static ErrorAnswer Of(JsonException error, Endpoint? endpoint)
    {
        var parameter = error.Path is ['$', '.', .. var path] ? path : null;
        return parameter is not null && Expected(parameter, endpoint) is { } expected
            ? ApiException.Invalid(parameter, expected, "something else").Answer
            : ErrorAnswers.Refusal(
                StatusCodes.Status400BadRequest,
                $"The request's body is not the JSON object that was expected; it goes wrong in line {error.LineNumber + 1}.",
                parameter,
                "invalid_json");
    }

    private static string? Expected(string parameter, Endpoint? endpoint)
    {
        var body = endpoint?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType;
        var property = body is null ? null : HttpJson.Api.Options.GetTypeInfo(body).Properties.FirstOrDefault(property => property.Name == parameter);
        return property is null ? null : Describe(Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType);
    }

    private static string Describe(Type type) => Type.GetTypeCode(type) switch
    {
        TypeCode.Int32 or TypeCode.Int64 => "a whole number",
        TypeCode.UInt64 => "a whole number from 0 to 18446744073709551615",
        TypeCode.Double => "a number",
        TypeCode.Boolean => "true or false",
        TypeCode.Object when type != typeof(string) && type.IsAssignableTo(typeof(System.Collections.IEnumerable)) => "a list",
        _ => "a string",
    };
}
