using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Dalle.Silo.Http.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Limits;

/// <summary>Bounds what one caller, known by an API key or else by its address, asks of this silo: requests in a minute, and requests open at once.</summary>
internal static class RequestLimits
{
    /// <summary>An open request ends sooner or later; no one knows when.</summary>
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    public static void AddRequestLimits(this IServiceCollection services)
    {
        services.AddRateLimiter(_ => { });
        services.AddOptions<RateLimiterOptions>().Configure<IOptions<SiloOptions>>((limiter, silo) =>
        {
            var options = silo.Value.Http;

            // A request that finds too many open takes no token.
            limiter.GlobalLimiter = PartitionedRateLimiter.CreateChained(
                PartitionedRateLimiter.Create<HttpContext, Caller>(context => RateLimitPartition.GetConcurrencyLimiter(Caller.Of(context), _ => Concurrency(MostOpen(context, options)))),
                PartitionedRateLimiter.Create<HttpContext, Caller>(context => RateLimitPartition.GetTokenBucketLimiter(Caller.Of(context), _ => Rate(MostAMinute(context, options)))));
            limiter.OnRejected = async (rejected, _) => await ErrorWriter.Write(rejected.HttpContext, TooMany(rejected, options));
        });
    }

    private static int MostOpen(HttpContext context, HttpOptions options) => context.Features.Get<ApiKey>()?.Spec.ConcurrentRequests ?? options.ConcurrentRequests;

    private static int MostAMinute(HttpContext context, HttpOptions options) => context.Features.Get<ApiKey>()?.Spec.RequestsPerMinute ?? options.RequestsPerMinute;

    private static ConcurrencyLimiterOptions Concurrency(int most) => new() { PermitLimit = most, QueueLimit = 0 };

    /// <summary>A minute's requests may come at once; each is given back one by one.</summary>
    private static TokenBucketRateLimiterOptions Rate(int perMinute) =>
        new() { TokenLimit = perMinute, TokensPerPeriod = 1, ReplenishmentPeriod = TimeSpan.FromMinutes(1) / perMinute, QueueLimit = 0 };

    private static ErrorAnswer TooMany(OnRejectedContext rejected, HttpOptions options)
    {
        var who = rejected.HttpContext.Features.Get<ApiKey>() is { } key ? $"The API key '{key.Spec.Name}'" : "This address";
        return rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var delay)
            ? TooMany($"{who} has sent as many requests as it may in a minute, {MostAMinute(rejected.HttpContext, options)}; retry-after says when the next may come.", "rate_limit_exceeded", delay)
            : TooMany($"{who} has as many requests open as it may, {MostOpen(rejected.HttpContext, options)}; wait for one to end.", "concurrency_limit_exceeded", RetryAfter);
    }

    private static ErrorAnswer TooMany(string message, string code, TimeSpan retryAfter) =>
        new(StatusCodes.Status429TooManyRequests, new() { Message = message, Type = ApiError.RateLimit, Code = code }, retryAfter);

    /// <summary>Whose limits count: a key's, or, without one, an address's.</summary>
    private sealed record Caller(string? Key, IPAddress? Address)
    {
        /// <summary>Bytes of an IPv6 address that name a network: whoever has one has all addresses in it.</summary>
        private const int NetworkBytes = 8;

        public static Caller Of(HttpContext context) =>
            context.Features.Get<ApiKey>() is { } key ? new(key.Id, null) : new(null, context.Connection.RemoteIpAddress is { } address ? NetworkOf(address) : null);

        private static IPAddress NetworkOf(IPAddress address)
        {
            if (address.AddressFamily != AddressFamily.InterNetworkV6 || address.IsIPv4MappedToIPv6)
            {
                return address.MapToIPv4();
            }

            var bytes = address.GetAddressBytes();
            bytes.AsSpan(NetworkBytes).Clear();
            return new(bytes);
        }
    }
}
