
namespace Dalle.Silo.Http.Errors;

/// <summary>What went wrong, in OpenAI's shape.</summary>
internal sealed record ApiError
{
    public const string InvalidRequest = "invalid_request_error";
    public const string RateLimit = "rate_limit_error";
    public const string ServerFault = "server_error";

    /// <summary>One line for people: what was expected, what came, what to do.</summary>
    public required string Message { get; init; }

    /// <summary>invalid_request_error, rate_limit_error or server_error.</summary>
    public required string Type { get; init; }

    /// <summary>The parameter at fault.</summary>
    public string? Param { get; init; }

    /// <summary>What went wrong, for programs.</summary>
    public string? Code { get; init; }
}

/// <summary>The body of every answer that is not a success.</summary>
internal sealed record ApiErrorBody(ApiError Error);

/// <summary>An error as an answer gives it.</summary>
/// <param name="Status">HTTP status code.</param>
/// <param name="Error">The body's content.</param>
/// <param name="RetryAfter">When to try again; null where that would not help.</param>
internal sealed record ErrorAnswer(int Status, ApiError Error, TimeSpan? RetryAfter = null);

/// <summary>A request that is refused for what it says.</summary>
internal sealed class ApiException(ErrorAnswer answer) : Exception(answer.Error.Message)
{
    public ErrorAnswer Answer { get; } = answer;

    /// <summary>A parameter's value cannot be used.</summary>
    public static ApiException Invalid(string parameter, string expected, object? found) =>
        Bad(parameter, "invalid_value", FormattableString.Invariant($"{parameter}: expected {expected}, got {found ?? "nothing"}."));

    /// <summary>A parameter that must be there is not.</summary>
    public static ApiException Missing(string parameter, string expected) =>
        Bad(parameter, "missing_required_parameter", $"{parameter}: expected {expected}, got nothing.");

    /// <summary>A parameter that there is not.</summary>
    public static ApiException Unknown(string parameter) => Bad(parameter, "unknown_parameter", $"Unknown parameter: '{parameter}'.");

    private static ApiException Bad(string parameter, string code, string message) =>
        new(new(400, new() { Message = message, Type = ApiError.InvalidRequest, Param = parameter, Code = code }));
}
