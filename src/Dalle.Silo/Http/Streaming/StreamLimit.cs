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
internal sealed class StreamLimit(IOptions<SiloOptions> options) : IRateLimiterPolicy<Endpoint>
{
    public const string Policy = "streams";

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    private readonly int _limit = options.Value.Http.MaxStreams;

    public Func<OnRejectedContext, CancellationToken, ValueTask> OnRejected => async (rejected, _) => await ErrorWriter.Write(rejected.HttpContext, TooMany());

    public RateLimitPartition<Endpoint> GetPartition(HttpContext httpContext) =>
        RateLimitPartition.GetConcurrencyLimiter(httpContext.GetEndpoint()!, _ => new() { PermitLimit = _limit, QueueLimit = 0 });

    private ErrorAnswer TooMany() => new(
        StatusCodes.Status429TooManyRequests,
        new() { Message = $"{_limit} such requests are open, as many as this silo takes.", Type = ApiError.RateLimit, Code = "too_many_streams" },
        RetryAfter);
}

/// <summary>Adds and applies <see cref="StreamLimit"/>.</summary>
internal static class StreamLimitConventions
{
    public static void AddStreamLimit(this IServiceCollection services) => services.AddRateLimiter(limiter => limiter.AddPolicy<Endpoint, StreamLimit>(StreamLimit.Policy));

    public static TBuilder LimitStreams<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.RequireRateLimiting(StreamLimit.Policy);
}
