using System.Globalization;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Dalle.Silo.Http.Errors;

/// <summary>Writes errors as answers. Those that are the silo's own fault are logged; a request's faults are its sender's.</summary>
internal sealed partial class ErrorWriter(ILogger<ErrorWriter> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        await Write(httpContext, Explain(httpContext, exception, httpContext.Features.Get<IExceptionHandlerFeature>()?.Endpoint));
        return true;
    }

    /// <summary>The answer to an exception, which is logged if need be.</summary>
    public ErrorAnswer Explain(HttpContext context, Exception exception, Endpoint? endpoint)
    {
        var answer = ErrorAnswers.Of(exception, endpoint);
        if (answer.Status >= StatusCodes.Status500InternalServerError)
        {
            LogFault(logger, exception, context.TraceIdentifier);
        }

        return answer;
    }

    public static Task Write(HttpContext context, ErrorAnswer answer)
    {
        context.Response.StatusCode = answer.Status;
        if (answer.RetryAfter is { } delay)
        {
            context.Response.Headers["retry-after-ms"] = Math.Ceiling(delay.TotalMilliseconds).ToString("0", CultureInfo.InvariantCulture);
            context.Response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(delay.TotalSeconds)).ToString("0", CultureInfo.InvariantCulture);
        }

        return context.Response.WriteAsJsonAsync(new ApiErrorBody(answer.Error), HttpJson.Api.ApiErrorBody, cancellationToken: context.RequestAborted);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {RequestId} failed")]
    private static partial void LogFault(ILogger logger, Exception error, string requestId);
}
