using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Dalle.Workers.Training;

namespace Dalle.Workers.Shards;

/// <inheritdoc cref="IShardGrain"/>
[SiloPlacement]
internal sealed class ShardGrain(JobShardDirectory shards, DataPlane plane, WorkerDrain drain) : Grain, IShardGrain
{
    private JobShards Shards => shards.Of(JobSilo.Parse(this.GetPrimaryKeyString()).Job);

    public async Task<ShardHoldings> Begin(long epoch, CancellationToken cancellationToken = default)
    {
        await Shards.Begin(epoch);
        return new(plane.Address, drain.Running.Count, drain.Draining, Shards.Snapshots.Holdings);
    }

    public Task Release(CancellationToken cancellationToken = default) => Shards.Release();
}
