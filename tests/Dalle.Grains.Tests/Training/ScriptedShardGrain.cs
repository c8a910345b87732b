using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;

namespace Dalle.Grains.Tests.Training;

/// <summary>A silo that keeps nothing of a job. Half of the jobs find one silo the busier, half the other.</summary>
[SiloPlacement]
public sealed class ScriptedShardGrain : Grain, IShardGrain
{
    private long _epoch;

    public Task<ShardHoldings> Begin(long epoch, CancellationToken cancellationToken = default)
    {
        if (epoch < _epoch)
        {
            throw new StaleLeaseException(epoch, _epoch);
        }

        _epoch = epoch;
        var key = JobSilo.Parse(this.GetPrimaryKeyString());
        var busy = (int)(key.ToString().Aggregate(17u, (hash, letter) => (hash * 31) + letter) >> 16 & 1);
        return Task.FromResult(new ShardHoldings(new(key.Silo, "127.0.0.1:1", null, null), busy, Leaving: false, []));
    }

    public Task Release(CancellationToken cancellationToken = default) => Task.CompletedTask;
}
