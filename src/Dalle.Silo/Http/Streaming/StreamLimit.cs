using System.Threading.RateLimiting;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Streaming;

/// <summary>Bounds the long requests that are open at once, for each endpoint by itself: watchers cannot keep out those who draw.</summary>
internal static class StreamLimit
{
    private const string Policy = "streams";

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    public static void AddStreamLimit(this IServiceCollection services)
    {
        services.AddRateLimiter(_ => { });
        services.AddOptions<RateLimiterOptions>().Configure<IOptions<SiloOptions>>((limiter, options) =>
        {
            var limit = options.Value.Http.MaxStreams;
            limiter.AddPolicy(Policy, context => RateLimitPartition.GetConcurrencyLimiter(context.GetEndpoint()!, _ => new() { PermitLimit = limit, QueueLimit = 0 }));
            limiter.OnRejected = async (rejected, _) => await ErrorWriter.Write(rejected.HttpContext, TooMany(limit));
        });
    }

    public static TBuilder LimitStreams<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.RequireRateLimiting(Policy);

    private static ErrorAnswer TooMany(int limit) => new(
        StatusCodes.Status429TooManyRequests,
        new() { Message = $"{limit} such requests are open, as many as this silo takes.", Type = ApiError.RateLimit, Code = "too_many_streams" },
        RetryAfter);
}
