using System.Net;
using System.Security.Cryptography;
using Dalle.Silo.Hosting;
using Garnet;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace Dalle.Silo.Storage;

/// <summary>
/// The Redis that keeps membership, grain state and reminders: the configured one, or else a Garnet server inside this process, reachable from this
/// machine only and with a password that no one else knows. A write to the embedded store is acknowledged once its log record is with the operating
/// system, so it survives the death of the process.
/// </summary>
internal sealed class ClusterStore : IDisposable
{
    // On a busy machine a store in this very process has needed more than the usual five seconds to answer.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly GarnetServer? _embedded;

    /// <summary>Starts the embedded store, or none if a Redis is configured.</summary>
    public ClusterStore(IOptions<SiloOptions> options, DataFolder folder, ILoggerFactory loggers)
    {
        if (options.Value.Redis is { Length: > 0 } redis)
        {
            Connection = ConfigurationOptions.Parse(redis);
            return;
        }

        var port = FreePorts.Settle(IPAddress.Loopback, 0)[0];
        var password = RandomNumberGenerator.GetHexString(32);
        var patience = (int)Patience.TotalMilliseconds;
        Connection = new ConfigurationOptions
        {
            EndPoints = { { IPAddress.Loopback, port } }, Password = password, ConnectTimeout = patience, AsyncTimeout = patience, SyncTimeout = patience,
        };
        _embedded = new GarnetServer(Arguments(Path.Combine(folder.Path, "store"), port, password), loggers);
        _embedded.Start();
    }

    /// <summary>How to connect to it.</summary>
    public ConfigurationOptions Connection { get; }

    /// <inheritdoc/>
    public void Dispose() => _embedded?.Dispose();

    // The native device would need libaio, which a plain machine lacks. Orleans' Redis providers need Lua. Without the storage tier what does not fit into
    // memory would be dropped. Checkpoints shorten the log, compaction removes what was overwritten.
    private static string[] Arguments(string folder, int port, string password) =>
    [
        "-q", "--bind", IPAddress.Loopback.ToString(), "--port", $"{port}", "--auth", "Password", "--password", password, "--lua",
        "--memory", "64m", "--page", "1m", "--index", "8m",
        "--storage-tier", "--device-type", "RandomAccess", "--logdir", folder, "--segment", "64m", "--compaction-type", "Lookup", "--compaction-max-segments", "4",
        "--aof", "--aof-commit-freq", "0", "--aof-commit-wait", "--aof-memory", "64m", "--aof-page-size", "16m", "--aof-segment-size", "64m",
        "--checkpointdir", folder, "--checkpoint-freq", "600", "--recover", "--fail-on-recovery-error",
    ];
}
