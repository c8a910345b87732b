using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Jobs whose workers are on both silos, while nothing is lost.</summary>
public sealed class SeveralSilosTests(GrainCluster cluster) : SharedJob(cluster)
{
    [Theory]
    [InlineData(2, 1)]
    [InlineData(1, 2)]
    [InlineData(3, 2)]
    [InlineData(1, 5)]
    public async Task Workers_AreSharedOutOverAllSilos_UnderOneLease(int replicas, int shards)
    {
        var lease = await Start(replicas, shards);
        var events = await End(lease);

        Assert.All(
            from replica in Enumerable.Range(0, replicas) from ordinal in Enumerable.Range(0, shards) select (replica, ordinal),
            worker => Assert.Single(lease.Placement.Hosts, host => host.Has(worker.replica, worker.ordinal)));
        Assert.Equal(Names(lease), lease.Placement.Hosts.Select(host => host.Address!.Name));
        AssertTold(lease, fromStep: 0, "the stage before is done", events);
        await Task.WhenAll(Names(lease).Select(silo => Host(silo).Released.Task.WaitAsync(Token)));
    }

    [Fact]
    public async Task Stage_ThatTrains_IsDoneOnceAllSilosAre_AndTheOthersRunOnTheLeader()
    {
        var vae = await Start(2, 1);
        var (leader, follower) = (Names(vae)[0], Names(vae)[1]);
        Host(leader).Worker.Say(Checkpoint(TrainingStage.DiscreteVae, 3), new DoneReport());
        await Job.Watch(0, Token).FirstAsync(item => item is CheckpointWritten, Token);
        Host(follower).Worker.Say(Checkpoint(TrainingStage.DiscreteVae, 5), new DoneReport());
        Done(TrainingStage.Encode);
        var prior = await NextLease(leader, follower);
        SayOnAll(prior, new DoneReport());
        SayOnAll(await NextLease(leader, follower), new DoneReport());
        Done(TrainingStage.Publish);
        var events = await Watch();

        Assert.Equal(
            $"Running, Prepare done, Tokenizer done, checkpoint 3, checkpoint 5, DiscreteVae done, Encode done, Prior done, Reranker done, Publish done, published {Spec.Model}, Completed",
            Text(events.Where(item => item is not WorkersPlaced)));
        Assert.Equal([TrainingStage.Prepare, TrainingStage.Tokenizer, TrainingStage.Encode, TrainingStage.Publish], Script.Leases.Select(lease => lease.Stage));
        Assert.All(Script.Leases, lease => Assert.Equal(leader, lease.Placement.Leader.Silo));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7], Script.Leases.Concat(Host(follower).Worker.Leases).Select(lease => lease.Epoch).Order());
    }

    [Fact]
    public async Task Pause_StopsAllSilos_AndResume_PlacesTheWorkersAgain()
    {
        var lease = await Start(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Worker.LastWords = [Checkpoint(TrainingStage.DiscreteVae, 7)];

        await Job.Pause(Token);

        Assert.All([leader, follower], silo => Assert.True(Host(silo).Released.Task.IsCompleted));
        Assert.Equal((lease.Epoch, StateKeeping.Checkpoint), await Host(leader).Worker.NextStop(Token));
        Assert.Equal((lease.Epoch, StateKeeping.Checkpoint), await Host(follower).Worker.NextStop(Token));
        Assert.Equal(TrainingPhase.Paused, (await Job.GetStatus(Token)).Phase);

        await Job.Resume(cancellationToken: Token);
        var resumed = await NextLease(leader, follower);
        Assert.Equal((lease.Epoch + 1, 7), (resumed.Epoch, resumed.Checkpoint!.Step));
        AssertTold(resumed, fromStep: 7, "the job was begun", await End(resumed));
    }

    [Fact]
    public async Task Silo_ThatLeaves_HandsItsWorkersToTheOther_WhichGoesOnFromMemory()
    {
        var lease = await StartPrior(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Leaving = true;
        Host(follower).Snapshots = [Snapshot(8, new(0), new(0, 0), new(0, 1))];
        Host(follower).Worker.Say(new StoppedReport());
        Host(leader).Worker.Say(new StoppedReport(Leaving: true));
        var next = await NextOfOne(lease);

        Assert.Equal($"{follower} has 0-1/0", Text(next.Placement));
        Assert.Null(next.Placement.Leader.Address);
        Assert.Equal((8, 0), (next.Snapshot!.Step, next.Snapshot.Transfers.Count));
        AssertTold(next, fromStep: 8, "a silo leaves", await End(next));
    }

    [Fact]
    public async Task Silo_ThatCannotGoOn_FailsTheJob_AndTheOtherIsLeft()
    {
        var lease = await Start(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);

        Host(follower).Worker.Say(new FailedReport("no such dataset"));

        Assert.Equal(lease.Epoch, await Host(leader).Worker.NextLetGo(Token));
        Assert.EndsWith("Failed (no such dataset)", Text(await Watch()), StringComparison.Ordinal);
    }
}
