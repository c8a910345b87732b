using Dalle.Contracts;
using Dalle.Contracts.Keys;

namespace Dalle.Grains.Keys;

/// <summary>The keys as they are stored.</summary>
[GenerateSerializer, Alias("ApiKeysState")]
public sealed record ApiKeysState([property: Id(0)] ApiKeySet Set)
{
    /// <summary>No keys yet; 0 would be the version of one who knows none.</summary>
    public ApiKeysState()
        : this(new ApiKeySet(1, []))
    {
    }
}

/// <inheritdoc cref="IApiKeysGrain"/>
/// <remarks>Readers wait inside <see cref="Read"/> beside everything else; they are given what is stored, never what is being written.</remarks>
internal sealed class ApiKeysGrain([PersistentState("apikeys")] IPersistentState<ApiKeysState> keys, TimeProvider clock) : Grain, IApiKeysGrain
{
    /// <summary>Time a reader waits: short, so that a silo that stops is not held up by those of others.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private ApiKeySet _stored = new(0, []);
    private TaskCompletionSource _changed = NewSignal();

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _stored = keys.State.Set;
        return Task.CompletedTask;
    }

    public async Task Create(StoredApiKey key, CancellationToken cancellationToken = default)
    {
        key.Key.Spec.Validate();
        if (_stored.Keys.FirstOrDefault(other => other.Key.Id == key.Key.Id) is { } taken)
        {
            if (taken.Hash != key.Hash)
            {
                throw new InvalidRequestException($"There is another key '{key.Key.Id}'; make a new one.", nameof(key.Key.Id));
            }

            return;
        }

        if (key.Key.Spec.Expires <= clock.GetUtcNow())
        {
            throw new InvalidRequestException(
                $"{nameof(key.Key.Spec.Expires)}: expected a time to come, got {key.Key.Spec.Expires:u}.", nameof(key.Key.Spec.Expires));
        }

        if (_stored.Keys.Count >= IApiKeysGrain.MostKeys)
        {
            throw new InvalidRequestException($"There are {IApiKeysGrain.MostKeys} keys, as many as a cluster has; revoke one that is no longer used.");
        }

        await Store([.. _stored.Keys, key], cancellationToken);
    }

    public Task Revoke(string id, CancellationToken cancellationToken = default)
    {
        var others = _stored.Keys.Where(key => key.Key.Id != id).ToArray();
        return others.Length < _stored.Keys.Count ? Store(others, cancellationToken) : throw new NotFoundException($"There is no key '{id}'.");
    }

    public async Task<ApiKeySet> Read(long known, CancellationToken cancellationToken = default)
    {
        if (known == _stored.Version)
        {
            await _changed.Task.WaitAsync(Patience, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }

        return _stored;
    }

    /// <summary>Stores the keys, then shows them to those who wait. If the store refuses, they stay as they were.</summary>
    private async Task Store(IReadOnlyList<StoredApiKey> next, CancellationToken cancellationToken)
    {
        var before = keys.State;
        keys.State = new(new ApiKeySet(_stored.Version + 1, next));
        try
        {
            await keys.WriteStateAsync(cancellationToken);
        }
        catch
        {
            keys.State = before;
            throw;
        }

        _stored = keys.State.Set;
        _changed.SetResult();
        _changed = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
