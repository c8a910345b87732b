using System.Net;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Storage;

/// <summary>Connects to a store outside this process, and finds the shared artifacts, before anything else starts: what is missing is said once and plainly, not by each of its users.</summary>
internal sealed class StoreCheck(ClusterStore store, ClusterArtifacts artifacts, IOptions<SiloOptions> options) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (options.Value is { Redis: { Length: > 0 } } or { Join: not null })
        {
            await Connect(options.Value.Join, cancellationToken);
        }

        _ = artifacts.Folder;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task Connect(string? join, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync(store.Connection).WaitAsync(cancellationToken);
        }
        catch (RedisConnectionException failure)
        {
            // The connection string may hold a password: only the servers are named.
            var servers = string.Join(", ", store.Connection.EndPoints.Select(NameOf));
            throw new IOException(
                (failure.FailureType == ConnectionFailureType.AuthenticationFailure, join) switch
                {
                    (true, null) => $"The Redis at {servers} refuses the password or user of {SiloOptions.RedisSetting}.",
                    (false, null) => $"No Redis answers at {servers}, which {SiloOptions.RedisSetting} names. Start it, or leave the setting out for a store in the data folder.",
                    (true, _) => $"The silo at {servers} has another cluster secret; give this one the same, in {SiloOptions.SecretVariable}.",
                    (false, _) => $"No silo that can be joined answers at {servers}, which {SiloOptions.JoinSetting} names, or it has another certificate. A running silo prints what to join.",
                },
                failure);
        }
    }

    // A port that was left out is 0 here.
    private static string? NameOf(EndPoint server) => server switch
    {
        DnsEndPoint { Port: 0 } named => named.Host,
        DnsEndPoint named => $"{named.Host}:{named.Port}",
        IPEndPoint { Port: 0 } numbered => numbered.Address.ToString(),
        _ => server.ToString(),
    };
}
