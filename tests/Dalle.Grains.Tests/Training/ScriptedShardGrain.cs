using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Training;

/// <summary>A silo that keeps of a job what its script says, and is as busy as jobs have had their newest lease there: silos take turns.</summary>
[SiloPlacement]
public sealed class ScriptedShardGrain : Grain, IShardGrain
{
    private long _epoch;

    private JobSilo Key => JobSilo.Parse(this.GetPrimaryKeyString());

    public Task<ShardHoldings> Begin(long epoch, CancellationToken cancellationToken = default)
    {
        var host = WorkerScripts.Of(Key);
        if (host.Gone)
        {
            throw new SiloUnavailableException("The silo is gone.");
        }

        if (epoch < _epoch)
        {
            throw new StaleLeaseException(epoch, _epoch);
        }

        _epoch = epoch;
        return Task.FromResult(new ShardHoldings(new(Key.Silo, "127.0.0.1:1", null, null), WorkerScripts.On(Key.Silo), host.Leaving, host.Snapshots));
    }

    public Task Release(CancellationToken cancellationToken = default)
    {
        WorkerScripts.Of(Key).Released.TrySetResult();
        return Task.CompletedTask;
    }
}
