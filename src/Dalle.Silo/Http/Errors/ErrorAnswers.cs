using System.Text.Json;
using Dalle.Contracts;
using Microsoft.AspNetCore.Http;

namespace Dalle.Silo.Http.Errors;

/// <summary>What an endpoint's <see cref="NotFoundException"/> speaks of.</summary>
/// <param name="Param">The parameter that names it.</param>
/// <param name="Code">The error's code.</param>
internal sealed record NotFoundMeaning(string Param, string Code);

/// <summary>Turns exceptions and bare status codes into answers.</summary>
internal static class ErrorAnswers
{
    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(5);

    /// <summary>The answer to what a handler threw.</summary>
    public static ErrorAnswer Of(Exception exception, Endpoint? endpoint) => exception switch
    {
        ApiException refused => refused.Answer,
        InvalidRequestException { Parameter: null } conflict => Refusal(StatusCodes.Status409Conflict, conflict.Message, null, "invalid_state"),
        InvalidRequestException { Parameter: { } parameter } invalid => Invalid(parameter, invalid.Message),
        NotFoundException missing => NotFound(missing.Message, endpoint?.Metadata.GetMetadata<NotFoundMeaning>()),
        OverloadedException full => new(
            StatusCodes.Status429TooManyRequests, new() { Message = full.Message, Type = ApiError.RateLimit, Code = "queue_full" }, full.RetryAfter),
        BadHttpRequestException { InnerException: JsonException json } => BodyErrors.Of(json, endpoint),
        BadHttpRequestException bad => Of(bad.StatusCode),
        GenerationFailedException failed => Fault(StatusCodes.Status500InternalServerError, failed.Message, "generation_failed"),
        TimeoutException or OrleansException or ClusterUnavailableException => Fault(StatusCodes.Status503ServiceUnavailable, "The cluster does not answer; try again.", "unavailable", Recovery),
        _ => Fault(StatusCodes.Status500InternalServerError, "The silo failed at this request; its log says how, under the request's id.", "internal_error"),
    };

    /// <summary>The answer to a request that no endpoint took.</summary>
    public static ErrorAnswer Of(int status) => status switch
    {
        StatusCodes.Status404NotFound => Refusal(status, "There is nothing at this address; /openapi/v1.json lists what there is.", null, "unknown_url"),
        StatusCodes.Status405MethodNotAllowed => Refusal(status, "This address does not take this method; the Allow header lists those it does.", null, "method_not_allowed"),
        StatusCodes.Status413PayloadTooLarge => Refusal(status, "The request's body is larger than this silo takes (Dalle:MaxRequestBytes).", null, "request_too_large"),
        StatusCodes.Status415UnsupportedMediaType => Refusal(status, "Expected a body of type application/json.", null, "unsupported_media_type"),
        >= 500 => Fault(status, "The silo failed at this request.", "internal_error"),
        _ => Refusal(status, "The request cannot be read: expected a JSON object.", null, "invalid_request"),
    };

    public static ErrorAnswer Refusal(int status, string message, string? parameter, string code) =>
        new(status, new() { Message = message, Type = ApiError.InvalidRequest, Param = parameter, Code = code });

    /// <summary>The contracts name their own fields; clients know the parameters.</summary>
    private static ErrorAnswer Invalid(string field, string message)
    {
        var parameter = ParameterNames.Of(field);
        return Refusal(
            StatusCodes.Status400BadRequest,
            message.StartsWith(field, StringComparison.Ordinal) ? parameter + message[field.Length..] : message,
            parameter,
            "invalid_value");
    }

    private static ErrorAnswer NotFound(string message, NotFoundMeaning? meaning) =>
        Refusal(StatusCodes.Status404NotFound, message, meaning?.Param, meaning?.Code ?? "not_found");

    private static ErrorAnswer Fault(int status, string message, string code, TimeSpan? retryAfter = null) =>
        new(status, new() { Message = message, Type = ApiError.ServerFault, Code = code }, retryAfter);
}
