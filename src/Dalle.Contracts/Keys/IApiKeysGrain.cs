using Orleans.Concurrency;

namespace Dalle.Contracts.Keys;

/// <summary>The API keys of the cluster, keyed 0. It never sees a key's text, only hashes.</summary>
public interface IApiKeysGrain : IGrainWithIntegerKey
{
    /// <summary>Most keys that a cluster has: every silo holds all of them.</summary>
    const int MostKeys = 1000;

    /// <summary>Stores a new key. Repeating the call is a no-op.</summary>
    /// <exception cref="InvalidRequestException">Its spec is not valid, its id is taken, or there are <see cref="MostKeys"/>.</exception>
    Task Create(StoredApiKey key, CancellationToken cancellationToken = default);

    /// <summary>Takes a key away for good.</summary>
    /// <exception cref="NotFoundException">There is no such key.</exception>
    Task Revoke(string id, CancellationToken cancellationToken = default);

    /// <summary>The keys: at once, if they are not those that the caller knows; otherwise when they change, or after two seconds without a change.</summary>
    /// <param name="known">Version of the keys that the caller knows; 0 for none.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    [AlwaysInterleave]
    Task<ApiKeySet> Read(long known, CancellationToken cancellationToken = default);
}
