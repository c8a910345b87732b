using System.Net;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Storage;

/// <summary>Connects to a configured Redis before anything else starts, so that one that is not there is said once and plainly, not by each of its users.</summary>
internal sealed class RedisCheck(ClusterStore store, IOptions<SiloOptions> options) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (options.Value.Redis is not { Length: > 0 })
        {
            return;
        }

        try
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync(store.Connection).WaitAsync(cancellationToken);
        }
        catch (RedisConnectionException failure)
        {
            // The connection string may hold a password: only the servers are named.
            var servers = string.Join(", ", store.Connection.EndPoints.Select(NameOf));
            throw new IOException(
                failure.FailureType == ConnectionFailureType.AuthenticationFailure
                    ? $"The Redis at {servers} refuses the password or user of {SiloOptions.RedisSetting}."
                    : $"No Redis answers at {servers}, which {SiloOptions.RedisSetting} names. Start it, or leave the setting out for a store in the data folder.",
                failure);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // A port that was left out is 0 here.
    private static string? NameOf(EndPoint server) => server switch
    {
        DnsEndPoint { Port: 0 } named => named.Host,
        DnsEndPoint named => $"{named.Host}:{named.Port}",
        IPEndPoint { Port: 0 } numbered => numbered.Address.ToString(),
        _ => server.ToString(),
    };
}
