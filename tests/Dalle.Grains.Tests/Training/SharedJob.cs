using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace Dalle.Grains.Tests.Training;

/// <summary>As <see cref="ScriptedJob"/>, but of several workers: each silo that hosts some does what the test says of it.</summary>
public abstract class SharedJob(GrainCluster cluster) : ScriptedJob(cluster)
{
    protected static string Name(InProcessSiloHandle silo) => silo.SiloAddress.ToParsableString();

    protected ScriptedHost Host(string silo) => WorkerScripts.Of(new JobSilo(JobId, silo));

    /// <summary>Starts the job and lets it come to the discrete VAE, on all silos of the cluster.</summary>
    protected async Task<StageLease> Start(int replicas, int shards, RecoveryMode recovery = RecoveryMode.Exact)
    {
        await Job.Start(Spec with { Replicas = replicas, Shards = shards, Recovery = recovery }, Token);
        Done(TrainingStage.Prepare);
        Done(TrainingStage.Tokenizer);
        return await NextLease([.. Cluster.Silos.Select(Name)]);
    }

    /// <summary>Starts the job and lets it come to the prior, on all silos of the cluster.</summary>
    protected async Task<StageLease> StartPrior(int replicas, int shards, RecoveryMode recovery = RecoveryMode.Exact)
    {
        var before = await Start(replicas, shards, recovery);
        SayOnAll(before, new DoneReport());
        Done(TrainingStage.Encode);
        return await NextLease([.. Names(before)]);
    }

    /// <summary>The next lease of some silos. They must be all that it places workers on, and have it alike.</summary>
    protected async Task<StageLease> NextLease(params string[] silos)
    {
        var leases = await Task.WhenAll(silos.Select(silo => Host(silo).Worker.NextLease(Token).AsTask()));
        Assert.Single(leases.Select(lease => (lease.Epoch, lease.Stage, Text(lease.Placement), lease.Checkpoint, lease.Snapshot?.Step)).Distinct());
        Assert.Equal(silos.Order(StringComparer.Ordinal), Names(leases[0]).Order(StringComparer.Ordinal));
        return leases[0];
    }

    /// <summary>The first lease after one of several silos that a single silo has.</summary>
    protected async Task<StageLease> NextOfOne(StageLease before)
    {
        StageLease next;
        do
        {
            next = await Script.NextLease(Token);
        }
        while (next.Epoch <= before.Epoch);
        return next;
    }

    /// <summary>Lets every silo that runs a lease say this next.</summary>
    protected void SayOnAll(StageLease lease, params WorkerReport[] reports)
    {
        foreach (var silo in Names(lease))
        {
            WorkerScripts.Of(new JobSilo(JobId, silo), lease).Say(reports);
        }
    }

    /// <summary>Lets the job fail, so that it does nothing more.</summary>
    /// <returns>What it has told.</returns>
    protected async Task<List<TrainingEvent>> End(StageLease lease, long after = 0)
    {
        WorkerScripts.Of(new JobSilo(JobId, lease.Placement.Leader.Silo), lease).Say(new FailedReport("enough"));
        return await Watch(after);
    }

    /// <summary>The silos of a lease, the leader first.</summary>
    protected static IReadOnlyList<string> Names(StageLease lease) => [.. lease.Placement.Hosts.Select(host => host.Silo)];

    protected static string Text(WorkerPlacement placement) => string.Join(", ", placement.Hosts.Select(host => $"{host.Silo} has {host}"));

    protected static ShardSnapshot Snapshot(int step, params ShardPiece[] pieces) => new(TrainingStage.Prior, step, pieces);

    /// <summary>The last placement that was told must be the lease's.</summary>
    protected static void AssertTold(StageLease lease, int fromStep, string cause, IEnumerable<TrainingEvent> events)
    {
        var placed = events.OfType<WorkersPlaced>().Last();
        Assert.Equal((lease.Epoch, fromStep, cause), (placed.Epoch, placed.FromStep, placed.Cause));
        Assert.Equal(Names(lease).Select(silo => SiloAddress.FromParsableString(silo).Endpoint.ToString()), placed.Silos);
        Assert.InRange(placed.Seconds, 0, 60);
    }
}
