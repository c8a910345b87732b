using Microsoft.AspNetCore.Http;

namespace Dalle.Silo.Http.Gates;

/// <summary>Gives every request an id that no one can guess, for logs and for people who ask: <c>x-request-id</c> of its answer.</summary>
internal sealed class RequestIds(RequestDelegate next)
{
    public const string Header = "x-request-id";

    public Task Invoke(HttpContext context)
    {
        context.TraceIdentifier = $"req_{Guid.NewGuid():N}";

        // At the last moment: an error's answer begins with clearing the headers.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[Header] = context.TraceIdentifier;
            return Task.CompletedTask;
        });
        return next(context);
    }
}
