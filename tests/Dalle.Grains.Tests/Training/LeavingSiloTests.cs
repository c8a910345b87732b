using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Jobs whose own silo, or whose worker's silo, leaves the cluster.</summary>
public sealed class LeavingSiloTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Jobs_OfASiloThatLeaves_GoOnOnTheOther_FromTheirCheckpoints()
    {
        // Enough jobs that some have their workers on the silo that leaves, and most likely some themselves, some both and some neither.
        var jobs = Enumerable.Range(0, 12).Select(i => $"leaving-{i}").ToArray();
        foreach (var job in jobs)
        {
            await Job(job).Start(new() { Preset = "test", Dataset = "scenes", Model = job }, Token);
            await WorkerScripts.Of(job).NextLease(Token);
            WorkerScripts.Of(job).Say(new CheckpointReport(new(TrainingStage.Prepare, 5, $"jobs/{job}/5")));
            await Job(job).Watch(0, Token).FirstAsync(item => item is CheckpointWritten, Token);
        }

        var leaving = cluster.Silos[1];
        var struck = jobs.Where(job => leaving.SiloAddress.Equals(WorkerScripts.Of(job).Silo)).ToArray();
        await cluster.Stop(leaving);
        await cluster.Grains.GetGrain<IClusterGrain>(0).WakeJobs(Token);

        Assert.NotEmpty(struck);
        foreach (var job in struck)
        {
            StageLease lease;
            do
            {
                lease = await WorkerScripts.Of(job).NextLease(Token);
            }
            while (!cluster.Silos[0].SiloAddress.Equals(WorkerScripts.Of(job).Silo));
            Assert.Equal(5, lease.Checkpoint!.Step);
        }

        foreach (var job in jobs)
        {
            WorkerScripts.Of(job).Say(new FailedReport("enough"));
            await Job(job).Watch(0, Token).CountAsync(Token);
            Assert.Equal((TrainingPhase.Failed, 5), ((await Job(job).GetStatus(Token)).Phase, (await Job(job).GetStatus(Token)).Step));
        }
    }

    private ITrainingJobGrain Job(string id) => cluster.Grains.GetGrain<ITrainingJobGrain>(id);
}
