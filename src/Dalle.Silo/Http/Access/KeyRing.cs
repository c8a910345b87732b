using System.Collections.Frozen;
using System.Net;
using Dalle.Contracts.Keys;
using Dalle.Silo.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Silo.Http.Access;

/// <summary>
/// The API keys as this silo knows them: that of its configuration, and those of the cluster, of which it is told when they change. No request waits for the cluster to look up its key.
/// </summary>
/// <remarks>A silo that is cut off from the cluster goes on with the keys that it knows, until the cluster gives it up.</remarks>
internal sealed partial class KeyRing(IGrainFactory grains, IOptions<SiloOptions> options, TimeProvider clock, ILogger<KeyRing> logger) : BackgroundService
{
    /// <summary>Time the cluster has for an answer, its own wait for a change included.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);

    /// <summary>The key of the configuration, as the others are.</summary>
    private static readonly ApiKey Configured = new("configured", new() { Name = "configured", Roles = [ApiRole.Admin] }, DateTimeOffset.UnixEpoch);

    private readonly string? _configured = options.Value.Http.ApiKey is { } key ? ApiKeySecret.Hash(key) : null;
    private readonly bool _othersReachUs = !IPAddress.IsLoopback(options.Value.ListenAddress);
    private readonly Lock _gate = new();

    private volatile Ring? _ring;

    /// <summary>Whether the cluster's keys have been read.</summary>
    public bool IsKnown => _ring is not null;

    /// <summary>Whether who asks must show a key: always where other machines can ask, and as soon as there is a key.</summary>
    /// <exception cref="TimeoutException">The cluster's keys have not been read yet.</exception>
    public bool IsNeeded => _othersReachUs || _configured is not null || Known.Keys.Count > 0;

    private Ring Known => _ring ?? throw new TimeoutException("The cluster's API keys have not been read yet.");

    /// <summary>The key of this text, be it expired; null if it is none.</summary>
    /// <exception cref="TimeoutException">The cluster's keys have not been read yet.</exception>
    public ApiKey? Find(string text) => _configured is not null && ApiKeySecret.Matches(_configured, text) ? Configured
        : ApiKeySecret.IdOf(text) is { } id && Known.Keys.TryGetValue(id, out var stored) && ApiKeySecret.Matches(stored.Hash, text) ? stored.Key
        : null;

    /// <summary>Whether a key is no longer valid.</summary>
    public bool HasExpired(ApiKey key) => key.Spec.Expires <= clock.GetUtcNow();

    /// <summary>Whether a key that was found before may still be used: it has neither expired nor been revoked.</summary>
    public bool IsInForce(ApiKey key) => !HasExpired(key) && (key == Configured || Known.Keys.ContainsKey(key.Id));

    /// <summary>Reads the keys now, so that who has changed them finds them changed here.</summary>
    public Task Refresh(CancellationToken cancellationToken) => Read(0, cancellationToken);

    /// <summary>Reads the keys before the first request.</summary>
    /// <exception cref="OptionsValidationException">Other machines could ask, and there is no key that they could show.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        var mustHaveOne = _othersReachUs && _configured is null;
        try
        {
            await Refresh(cancellationToken);
        }
        catch (Exception error) when (error is not OperationCanceledException && !mustHaveOne)
        {
            LogNotRead(logger, error);
        }

        if (mustHaveOne && Known.Keys.Values.All(stored => HasExpired(stored.Key)))
        {
            throw new OptionsValidationException(SiloOptions.Section, typeof(SiloOptions),
            [
                $"{SiloOptions.Section}:{nameof(SiloOptions.Address)}: {options.Value.Address} can be reached from other machines, so clients must show a key, and there is none that is valid. Make one with 'dalle keys create', set one in {HttpOptions.ApiKeyVariable}, or listen on {IPAddress.Loopback}.",
            ]);
        }

        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failing = false;
        while (true)
        {
            try
            {
                await Read(_ring?.Version ?? 0, stoppingToken);
                failing = false;
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)
            {
                if (!failing)
                {
                    LogNotRead(logger, error);
                    failing = true;
                }

                await Task.Delay(RetryDelay, clock, stoppingToken);
            }
        }
    }

    private async Task Read(long known, CancellationToken cancellationToken)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            Take(await grains.GetGrain<IApiKeysGrain>(0).Read(known, leaving.Token).WaitAsync(Patience, clock, cancellationToken));
        }
        finally
        {
            await leaving.CancelAsync();
        }
    }

    /// <summary>Answers may cross: an older one is none.</summary>
    private void Take(ApiKeySet set)
    {
        lock (_gate)
        {
            if (_ring is null || _ring.Version < set.Version)
            {
                _ring = new(set.Version, set.Keys.ToFrozenDictionary(stored => stored.Key.Id, StringComparer.Ordinal));
                LogRead(logger, set.Keys.Count);
            }
        }
    }

    private sealed record Ring(long Version, FrozenDictionary<string, StoredApiKey> Keys);

    [LoggerMessage(Level = LogLevel.Information, Message = "The cluster has {Count} API keys")]
    private static partial void LogRead(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The cluster's API keys cannot be read; those known before stay in force")]
    private static partial void LogNotRead(ILogger logger, Exception error);
}
