using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>The silos of the cluster as a job sees them: who is there, who has come, and what each keeps of the job.</summary>
/// <param name="membership">The cluster's view.</param>
/// <param name="grains">Reaches the silos' shard grains.</param>
/// <param name="clock">The time.</param>
internal sealed class JobSilos(ISiloStatusOracle membership, IGrainFactory grains, TimeProvider clock)
{
    /// <summary>A silo that does not answer for so long is left out.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>The same for one whose connections have closed: it has most likely ended.</summary>
    private static readonly TimeSpan PatienceWithTheLost = TimeSpan.FromMilliseconds(200);

    /// <summary>The active silos.</summary>
    public IReadOnlySet<string> Active => membership.GetActiveSilos().Select(silo => silo.ToParsableString()).ToHashSet(StringComparer.Ordinal);

    /// <summary>Begins an epoch of a job on every active silo, side by side.</summary>
    /// <param name="jobId">The job.</param>
    /// <param name="epoch">The epoch.</param>
    /// <param name="lost">Silos that were reported lost.</param>
    /// <param name="without">Whether those are left out even if they are there: others cannot reach them.</param>
    /// <param name="before">The hosts of the epoch before, the leader first: they stay hosts, as far as they are there.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Those that answered and stay: hosts of before in their order, then the least busy. None if all that answered are leaving.</returns>
    /// <exception cref="StaleLeaseException">A later epoch has begun on one of them.</exception>
    /// <exception cref="SiloUnavailableException">None has answered.</exception>
    public async Task<IReadOnlyList<SiloHoldings>> Begin(string jobId, long epoch, IReadOnlySet<string> lost, bool without, IReadOnlyList<string> before, CancellationToken cancellationToken)
    {
        var active = Active;
        var others = active.Except(lost).ToArray();
        var there = await Ask(jobId, epoch, without && others.Length > 0 ? others : active, silo => lost.Contains(silo) ? PatienceWithTheLost : Patience, cancellationToken);
        var places = before.Index().ToDictionary(pair => pair.Item, pair => pair.Index, StringComparer.Ordinal);
        return there.Count > 0
            ? [.. there.Where(silo => !silo.Holdings.Leaving).OrderBy(silo => places.GetValueOrDefault(silo.Silo, int.MaxValue)).ThenBy(silo => silo.Holdings.Busy)]
            : throw new SiloUnavailableException($"No silo has answered job '{jobId}'.");
    }

    /// <summary>Begins an epoch of a job on silos that it is new to, side by side.</summary>
    /// <returns>Those that answered.</returns>
    public Task<IReadOnlyList<SiloHoldings>> BeginNew(string jobId, long epoch, IReadOnlyCollection<string> newcomers, CancellationToken cancellationToken) =>
        Ask(jobId, epoch, newcomers, _ => Patience, cancellationToken);

    private async Task<IReadOnlyList<SiloHoldings>> Ask(string jobId, long epoch, IEnumerable<string> silos, Func<string, TimeSpan> patience, CancellationToken cancellationToken) =>
        [.. (await Task.WhenAll(silos.Order(StringComparer.Ordinal).Select(silo => Begin(jobId, epoch, silo, patience(silo), cancellationToken)))).OfType<SiloHoldings>()];

    private async Task<SiloHoldings?> Begin(string jobId, long epoch, string silo, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            return new(silo, await Shards(jobId, silo).Begin(epoch, cancellationToken).WaitAsync(patience, clock, cancellationToken));
        }
        catch (Exception error) when (error is TimeoutException or OrleansException)
        {
            return null;
        }
    }

    /// <summary>Lets go of what the silos keep of a job in memory; one that does not answer has most likely ended.</summary>
    public Task Release(string jobId, IEnumerable<string> silos, CancellationToken cancellationToken) => Task.WhenAll(silos.Select(async silo =>
    {
        try
        {
            await Shards(jobId, silo).Release(cancellationToken).WaitAsync(Patience, clock, cancellationToken);
        }
        catch (Exception error) when (error is TimeoutException or OrleansException)
        {
        }
    }));

    private IShardGrain Shards(string jobId, string silo) => grains.GetGrain<IShardGrain>(new JobSilo(jobId, silo).ToString());
}
