using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;

namespace Dalle.Grains.Cluster;

/// <summary>The ids of the cluster's jobs, in order of submission.</summary>
[GenerateSerializer, Alias("ClusterState")]
public sealed record ClusterState([property: Id(0)] List<string> Jobs)
{
    public ClusterState()
        : this([])
    {
    }
}

/// <inheritdoc cref="IClusterGrain"/>
internal sealed class ClusterGrain([PersistentState("cluster")] IPersistentState<ClusterState> cluster, DeviceDirectory devices) : Grain, IClusterGrain
{
    public async Task Register(string jobId, CancellationToken cancellationToken = default)
    {
        if (cluster.State.Jobs.Contains(jobId))
        {
            return;
        }

        var before = cluster.State;
        cluster.State = new([.. before.Jobs, jobId]);
        try
        {
            await cluster.WriteStateAsync(cancellationToken);
        }
        catch
        {
            // Else the repeated call would take the job for stored.
            cluster.State = before;
            throw;
        }
    }

    public Task<IReadOnlyList<string>> ListJobs(CancellationToken cancellationToken = default) =>
        Task.FromResult<IReadOnlyList<string>>([.. Enumerable.Reverse(cluster.State.Jobs)]);

    public async Task<IReadOnlyList<SiloReport>> ListSilos(CancellationToken cancellationToken = default) =>
        [.. (await devices.Ask(cancellationToken)).Select(silo => new SiloReport(silo.Silo.Endpoint.ToString(), silo.Device))];

    public async Task WakeJobs(CancellationToken cancellationToken = default)
    {
        // A call activates the job, and an activated job that was running goes on.
        await Task.WhenAll(cluster.State.Jobs.Select(jobId => GrainFactory.GetGrain<ITrainingJobGrain>(jobId).Wake(cancellationToken)));
    }
}
