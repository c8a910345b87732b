using System.Net;
using System.Security.Cryptography;
using System.Text;
using Dalle.Silo.Hosting;
using Garnet;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Storage;

/// <summary>
/// The Redis that keeps membership, grain state and reminders: the configured one, or that of the silo to join, or else a Garnet server inside this process. Without a
/// cluster secret that is reachable from this machine only, with a password that no one else knows. A write to the embedded store is acknowledged once its log record is
/// with the operating system, so it survives the death of the process.
/// </summary>
internal sealed class ClusterStore : IDisposable
{
    // On a busy machine a store in this very process has needed more than the usual five seconds to answer.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly GarnetServer? _embedded;

    /// <summary>Starts the embedded store, unless a Redis is configured or another silo's store is to be joined.</summary>
    public ClusterStore(IOptions<SiloOptions> options, ClusterCertificate certificate, DataFolder folder, ILoggerFactory loggers)
    {
        var settings = options.Value;
        if (settings.Redis is { Length: > 0 } redis)
        {
            Connection = ConfigurationOptions.Parse(redis);
            return;
        }

        var password = settings.ClusterSecret is { } secret ? PasswordOf(secret) : RandomNumberGenerator.GetHexString(32);
        if (settings.Join is { } join)
        {
            Connection = ConnectionTo(ParseJoin(join)!, password, certificate);
            Connection.ConnectRetry = 1;
            return;
        }

        var shared = settings.ClusterSecret is not null;
        var address = shared ? settings.ClusterListenAddress : IPAddress.Loopback;
        var port = FreePorts.Settle(address, settings.StorePort)[0];
        var reachable = new IPEndPoint(shared ? settings.ReachableAddress : address, port);
        Connection = ConnectionTo(new DnsEndPoint(reachable.Address.ToString(), port), password, certificate);
        JoinAddress = shared ? reachable.ToString() : null;
        _embedded = new GarnetServer([.. Arguments(Path.Combine(folder.Path, "store"), address, port, password), .. certificate.StoreArguments], loggers);
        _embedded.Start();
    }

    /// <summary>How to connect to it.</summary>
    public ConfigurationOptions Connection { get; }

    /// <summary>What other silos can join, as <c>host:port</c>; null where they cannot, or where the store is not this silo's.</summary>
    public string? JoinAddress { get; }

    /// <summary>The server that <c>host:port</c> names; null if it names none.</summary>
    public static DnsEndPoint? ParseJoin(string join) =>
        Uri.TryCreate($"tcp://{join}", UriKind.Absolute, out var uri) && uri is { Port: > 0, PathAndQuery: "/" or "", UserInfo: "" } ? new(uri.IdnHost, uri.Port) : null;

    /// <inheritdoc/>
    public void Dispose() => _embedded?.Dispose();

    // The store must not learn the secret, which guards other things too.
    private static string PasswordOf(string secret) => Convert.ToHexString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), "cluster store"u8));

    private static ConfigurationOptions ConnectionTo(DnsEndPoint server, string password, ClusterCertificate certificate)
    {
        var patience = (int)Patience.TotalMilliseconds;
        var connection = new ConfigurationOptions
        {
            EndPoints = { { server.Host, server.Port } }, Password = password, ConnectTimeout = patience, AsyncTimeout = patience, SyncTimeout = patience,
        };
        certificate.Secure(connection);
        return connection;
    }

    // The native device would need libaio, which a plain machine lacks. Orleans' Redis providers need Lua. Without the storage tier what does not fit into
    // memory would be dropped. Checkpoints shorten the log, compaction removes what was overwritten.
    private static string[] Arguments(string folder, IPAddress address, int port, string password) =>
    [
        "-q", "--bind", address.ToString(), "--port", $"{port}", "--auth", "Password", "--password", password, "--lua",
        "--memory", "64m", "--page", "1m", "--index", "8m",
        "--storage-tier", "--device-type", "RandomAccess", "--logdir", folder, "--segment", "64m", "--compaction-type", "Lookup", "--compaction-max-segments", "4",
        "--aof", "--aof-commit-freq", "0", "--aof-commit-wait", "--aof-memory", "64m", "--aof-page-size", "16m", "--aof-segment-size", "64m",
        "--checkpointdir", folder, "--checkpoint-freq", "600", "--recover", "--fail-on-recovery-error",
    ];
}
