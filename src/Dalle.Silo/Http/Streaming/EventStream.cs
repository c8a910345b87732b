using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Access;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Streaming;

/// <summary>
/// Server-Sent Events. Beyond what the framework's own result gives: what fails before the first event is an answer of its own, with its status; a silent
/// stream carries comments, and is looked at then whether its key is still in force; an error on the way is the last event; a stream without any event is answered by 204, which tells browsers not to come again.
/// </summary>
/// <param name="open">Opens the events; cancelled when the client leaves or the silo stops.</param>
internal sealed class EventStream(Func<CancellationToken, IAsyncEnumerable<ServerEvent>> open) : IResult
{
    public const string ContentType = "text/event-stream";

    private static readonly byte[] Comment = ": waiting\n\n"u8.ToArray();

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var services = httpContext.RequestServices;
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(
            httpContext.RequestAborted, services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        using var heartbeat = new PeriodicTimer(services.GetRequiredService<IOptions<SiloOptions>>().Value.Http.Heartbeat, services.GetRequiredService<TimeProvider>());
        var events = open(leaving.Token).GetAsyncEnumerator(leaving.Token);
        var next = events.MoveNextAsync().AsTask();
        try
        {
            var beat = heartbeat.WaitForNextTickAsync(leaving.Token).AsTask();
            if (await Task.WhenAny(next, beat) == next && !await next)
            {
                httpContext.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }

            Begin(httpContext);
            while (true)
            {
                if (await Task.WhenAny(next, beat) == beat)
                {
                    await beat;
                    RequireKey(httpContext);
                    beat = heartbeat.WaitForNextTickAsync(leaving.Token).AsTask();
                    await Send(httpContext.Response.BodyWriter, Comment, leaving.Token);
                }
                else if (await next)
                {
                    await Send(httpContext.Response.BodyWriter, events.Current, leaving.Token);
                    next = events.MoveNextAsync().AsTask();
                }
                else
                {
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (leaving.IsCancellationRequested)
        {
            // The client has left, or the silo is about to: who has got nothing yet may hear that.
            if (!httpContext.Response.HasStarted)
            {
                httpContext.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            }
        }
        catch (Exception error) when (httpContext.Response.HasStarted)
        {
            var answer = services.GetRequiredService<ErrorWriter>().Explain(httpContext, error, httpContext.GetEndpoint());
            await Send(httpContext.Response.BodyWriter, new StreamError(answer.Error).ToEvent(), leaving.Token);
        }
        finally
        {
            // An enumerator may be disposed only once it has come to rest.
            await leaving.CancelAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await events.DisposeAsync();
        }
    }

    /// <summary>A stream that outlives its key ends: what was let in once is not let in for good.</summary>
    private static void RequireKey(HttpContext context)
    {
        if (context.Features.Get<ApiKey>() is { } key && !context.RequestServices.GetRequiredService<KeyRing>().IsInForce(key))
        {
            throw new ApiException(ErrorAnswers.Refusal(StatusCodes.Status401Unauthorized, $"The API key '{key.Spec.Name}' is not valid any more.", null, "invalid_api_key"));
        }
    }

    private static void Begin(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = ContentType;
        context.Response.Headers.CacheControl = "no-cache, no-store";

        // What comes after this may fail, but what came before is not to be drawn and paid for again.
        context.Response.Headers["x-should-retry"] = "false";
    }

    private static async Task Send(PipeWriter body, ServerEvent item, CancellationToken cancellationToken)
    {
        body.Write(Encoding.UTF8.GetBytes($"event: {item.Type}\n"));
        if (item.Id is { } id)
        {
            body.Write(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id: {id}\n")));
        }

        body.Write("data: "u8);
        body.Write(item.Json.Span);
        await Send(body, "\n\n"u8.ToArray(), cancellationToken);
    }

    private static async Task Send(PipeWriter body, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => await body.WriteAsync(bytes, cancellationToken);
}
