using Microsoft.AspNetCore.Http;

namespace Dalle.Silo.Http.Gates;

/// <summary>What a browser may load for an endpoint's answers, as <c>Content-Security-Policy</c> says it. Without this an answer is no page, and loads nothing.</summary>
internal sealed record ContentPolicy(string Value)
{
    public static ContentPolicy Nothing { get; } = new("default-src 'none'; frame-ancestors 'none'");
}

/// <summary>Tells browsers of every answer to take it for nothing but what it says it is, to frame it nowhere, to keep no copy, and to tell no one where they come from.</summary>
internal sealed class SecurityHeaders(RequestDelegate next)
{
    public Task Invoke(HttpContext context)
    {
        // At the last moment: an error's answer begins with clearing the headers.
        context.Response.OnStarting(() =>
        {
            var headers = context.Response.Headers;
            headers.XContentTypeOptions = "nosniff";
            headers.XFrameOptions = "DENY";
            headers["Referrer-Policy"] = "no-referrer";
            headers.ContentSecurityPolicy = (context.GetEndpoint()?.Metadata.GetMetadata<ContentPolicy>() ?? ContentPolicy.Nothing).Value;
            if (headers.CacheControl.Count == 0)
            {
                headers.CacheControl = "no-store";
            }

            return Task.CompletedTask;
        });
        return next(context);
    }
}
