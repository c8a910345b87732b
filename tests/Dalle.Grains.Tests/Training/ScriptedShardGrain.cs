using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;

namespace Dalle.Grains.Tests.Training;

/// <summary>A silo that keeps nothing of a job, and is as busy as jobs have had their newest lease there: silos take turns.</summary>
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
        return Task.FromResult(new ShardHoldings(new(key.Silo, "127.0.0.1:1", null, null), WorkerScripts.On(key.Silo), Leaving: false, []));
    }

    public Task Release(CancellationToken cancellationToken = default) => Task.CompletedTask;
}
