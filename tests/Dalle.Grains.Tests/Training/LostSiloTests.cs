using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;

namespace Dalle.Grains.Tests.Training;

/// <summary>Jobs of several silos, one of which is lost or loses another.</summary>
public sealed class LostSiloTests(GrainCluster cluster) : SharedJob(cluster)
{
    [Theory]
    [InlineData(RecoveryMode.Exact, 10, false)]
    [InlineData(RecoveryMode.Continue, 20, true)]
    public async Task SiloThatLosesAnother_BeginsAnEpoch_FromTheNewestSnapshotThatIsLeft_AndNoUpdateIsToldTwice(RecoveryMode recovery, int from, bool lostErrors)
    {
        var lease = await StartPrior(2, 1, recovery);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Snapshots = [Snapshot(20, new(0), new(0, 0)), Snapshot(10, new(0), new(0, 0))];
        Host(follower).Snapshots = [Snapshot(20, new ShardPiece(0)), Snapshot(10, new(0), new(0, 1))];

        Host(leader).Worker.Say(Steps(1, 20));
        Host(leader).Worker.Say(new PeerLostReport(follower, Gone: false, "nothing was heard of it"));

        Assert.Equal(lease.Epoch, await Host(follower).Worker.NextLetGo(Token));
        var next = await NextLease(leader, follower);
        Host(leader).Worker.Say(Steps(from + 1, 21));
        var events = await End(next);
        Assert.Equal((lease.Epoch + 1, from, lostErrors), (next.Epoch, next.Snapshot!.Step, next.Snapshot.LostErrors));
        Assert.Equal(Text(lease.Placement), Text(next.Placement));
        AssertTold(next, from, "nothing was heard of it", events);
        Assert.Equal(Enumerable.Range(1, 21), events.OfType<PriorStepCompleted>().Select(item => item.Step));
    }

    [Fact]
    public async Task SiloThatIsGone_LeavesItsWorkersToTheOther_WithWhatThatHasKeptForIt()
    {
        var lease = await StartPrior(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(follower).Snapshots = [Snapshot(21, new(0), new(0, 1)), Snapshot(20, new(0), new(0, 0), new(0, 1))];
        Host(leader).Gone = true;

        Host(follower).Worker.Say(new PeerLostReport(leader, Gone: true, "the connection closed"));

        var next = await NextOfOne(lease);
        Assert.Equal($"{follower} has 0-1/0", Text(next.Placement));
        Assert.Equal((lease.Epoch + 1, 20), (next.Epoch, next.Snapshot!.Step));
        AssertTold(next, fromStep: 20, "the connection closed", await End(next));
    }

    [Theory]
    [InlineData(RecoveryMode.Exact)]
    [InlineData(RecoveryMode.Continue)]
    public async Task SiloThatIsGone_WithAPieceThatNoOtherKeeps_LetsTheJobGoOnFromItsCheckpoint(RecoveryMode recovery)
    {
        var lease = await StartPrior(1, 2, recovery);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Worker.Say(Checkpoint(TrainingStage.Prior, 15));
        await Job.Watch(0, Token).FirstAsync(item => item is CheckpointWritten, Token);
        Host(leader).Snapshots = [Snapshot(20, new ShardPiece(0))];
        Host(follower).Gone = true;

        Host(leader).Worker.Say(new PeerLostReport(follower, Gone: true, "the connection closed"));

        var next = await NextOfOne(lease);
        Assert.Equal($"{leader} has 0/0-1", Text(next.Placement));
        Assert.Equal((null, 15), (next.Snapshot, next.Checkpoint!.Step));
        AssertTold(next, fromStep: 15, "the connection closed", await End(next));
    }

    [Fact]
    public async Task SilosThatAnswer_ButLoseEachOtherAgain_AreLeftToOneOfThem()
    {
        var lease = await Start(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Worker.Say(new PeerLostReport(follower, Gone: true, "no connection came about in time"));
        lease = await NextLease(leader, follower);

        Host(leader).Worker.Say(new PeerLostReport(follower, Gone: true, "no connection came about in time"));

        var next = await NextOfOne(lease);
        Assert.Equal((TrainingStage.DiscreteVae, $"{leader} has 0-1/0"), (next.Stage, Text(next.Placement)));
        await End(next);
    }

    [Fact]
    public async Task SiloThatBreaksOff_CountsAsLost_AndTheOtherIsLeft()
    {
        var lease = await StartPrior(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);

        Host(follower).Worker.Break("the silo has ended");

        Assert.Equal(lease.Epoch, await Host(leader).Worker.NextLetGo(Token));
        var next = await NextLease(leader, follower);
        Assert.Equal((lease.Epoch + 1, null), (next.Epoch, next.Snapshot));
        AssertTold(next, fromStep: 0, "the silo has ended", await End(next));
    }

    [Fact]
    public async Task SilosThatAreLostAgainAndAgain_FailTheJob_OnlyIfNothingIsKeptInBetween()
    {
        const int Kept = 6;
        var lease = await StartPrior(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        for (var loss = 1; loss <= Kept + 4; loss++)
        {
            Host(leader).Snapshots = [Snapshot(Math.Min(loss, Kept), new ShardPiece(0))];
            Host(follower).Snapshots = Host(leader).Snapshots;
            Host(leader).Worker.Say(new PeerLostReport(follower, Gone: false, $"loss {loss}"));
            await Host(follower).Worker.NextLetGo(Token);
            lease = await NextLease(leader, follower);
            Assert.Equal(Math.Min(loss, Kept), lease.Snapshot!.Step);
        }

        Host(leader).Worker.Say(new PeerLostReport(follower, Gone: false, "the last loss"));
        Assert.EndsWith("Failed (Prior was tried 5 times without progress: the last loss)", Text(await Watch()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Job_WhoseActivationIsGone_LearnsFromItsSilosHowFarTheyAre_AndTellsNoUpdateTwice()
    {
        var lease = await StartPrior(2, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        Host(leader).Worker.Say(Steps(1, 20));
        var told = await Job.Watch(0, Token).FirstAsync(item => item is PriorStepCompleted { Step: 20 }, Token);
        Host(leader).Snapshots = [Snapshot(20, new(0), new(0, 0)), Snapshot(10, new(0), new(0, 0))];
        Host(follower).Snapshots = [Snapshot(10, new(0), new(0, 1))];

        await Cluster.EndActivations(Token);
        Assert.Equal(lease.Epoch, await Host(leader).Worker.NextLetGo(Token));
        Assert.Equal(lease.Epoch, await Host(follower).Worker.NextLetGo(Token));
        await Job.Wake(Token);
        var next = await NextLease([leader, follower]);
        Host(Names(next)[0]).Worker.Say(Steps(11, 21));
        var events = await End(next, told.Sequence);

        Assert.Equal(10, next.Snapshot!.Step);
        Assert.Equal([21], events.OfType<PriorStepCompleted>().Select(item => item.Step));
        AssertTold(next, fromStep: 10, "the job was begun", events);
    }
}
