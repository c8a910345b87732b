using Dalle.Contracts.Training;
using Dalle.Grains.Training;

namespace Dalle.Grains.Tests.Training;

public sealed class WorkerPlacingTests
{
    [Theory]
    [InlineData(1, 1, 3, "0/0")]
    [InlineData(4, 1, 1, "0-3/0")]
    [InlineData(4, 2, 3, "0-1/0-1, 2/0-1, 3/0-1")]
    [InlineData(2, 2, 2, "0/0-1, 1/0-1")]
    [InlineData(2, 2, 3, "0/0, 0/1, 1/0-1")]
    [InlineData(2, 3, 5, "0/0, 0/1, 0/2, 1/0-1, 1/2")]
    [InlineData(1, 8, 3, "0/0-2, 0/3-5, 0/6-7")]
    [InlineData(2, 2, 9, "0/0, 0/1, 1/0, 1/1")]
    public void Place_GivesEveryWorkerOneHost_AndReplicasWhole_WhileThereAreNoMoreSilos(int replicas, int shards, int silos, string expected)
    {
        var placement = WorkerPlacing.Place(Spec(replicas, shards), Silos(silos));

        Assert.Equal(expected, string.Join(", ", placement.Hosts));
        Assert.All(
            from replica in Enumerable.Range(0, replicas) from ordinal in Enumerable.Range(0, shards) select (replica, ordinal),
            worker => Assert.Single(placement.Hosts, host => host.Has(worker.replica, worker.ordinal)));
        Assert.Equal(Enumerable.Range(0, placement.Hosts.Count).Select(i => $"silo-{i}"), placement.Hosts.Select(host => host.Silo));
        Assert.Equal(placement.Hosts.Count == 1, placement.Leader.Address is null);
    }

    [Fact]
    public void Newest_IsTheLastStepThatTheHostsKeepAllOf_WithWhatHasToTravel()
    {
        // Of two replicas on two silos, the third was lost: it had replica 0, whose errors after step 20 its neighbour had not got yet.
        var spec = Spec(2, 1);
        var silos = new[]
        {
            Silo("a", Snapshot(20, new ShardPiece(0), new ShardPiece(0, 1)), Snapshot(10, new ShardPiece(0), new ShardPiece(0, 1))),
            Silo("b", Snapshot(10, new ShardPiece(0, 0))),
        };
        var placement = WorkerPlacing.Place(spec, silos);

        var point = WorkerPlacing.Newest(placement, TrainingStage.Prior, silos, from: 0, RecoveryMode.Exact)!;

        Assert.Equal(10, point.Step);
        Assert.Equal([new(new(0, 0), "b", "a"), new(new(0), "a", "b"), new(new(0, 1), "a", "b")], point.Transfers);
    }

    [Fact]
    public void Newest_OfAJobThatIsToContinue_IsTheLastStep_EvenIfErrorBuffersAreLost()
    {
        SiloHoldings[] silos = [Silo("a", Snapshot(21, new ShardPiece(0), new ShardPiece(0, 1)), Snapshot(10, new ShardPiece(0), new ShardPiece(0, 0), new ShardPiece(0, 1)))];
        var placement = WorkerPlacing.Place(Spec(2, 1), silos);

        Assert.Equal((10, false), Of(WorkerPlacing.Newest(placement, TrainingStage.Prior, silos, 0, RecoveryMode.Exact)));
        Assert.Equal((21, true), Of(WorkerPlacing.Newest(placement, TrainingStage.Prior, silos, 0, RecoveryMode.Continue)));

        static (int, bool) Of(RestorePoint? point) => (point!.Step, point.LostErrors);
    }

    [Fact]
    public void Newest_WhereNothingIsCompressed_NeedsNoErrorBuffers()
    {
        SiloHoldings[] silos = [Silo("a", Snapshot(21, new ShardPiece(0)))];

        Assert.Equal(21, WorkerPlacing.Newest(WorkerPlacing.Place(Spec(2, 1), silos), TrainingStage.Prior, silos, 0, RecoveryMode.Exact)!.Step);
    }

    [Theory]
    [InlineData(TrainingStage.Prior, 10, true)]
    [InlineData(TrainingStage.Prior, 11, false)]
    [InlineData(TrainingStage.DiscreteVae, 0, false)]
    public void Newest_PassesOverOtherStages_AndWhatIsOlderThanTheCheckpoint(TrainingStage stage, int from, bool found)
    {
        SiloHoldings[] silos = [Silo("a", Snapshot(10, new ShardPiece(0)))];

        Assert.Equal(found, WorkerPlacing.Newest(WorkerPlacing.Place(Spec(1, 1), silos), stage, silos, from, RecoveryMode.Exact) is not null);
    }

    [Fact]
    public void Newest_ThatNobodyKeepsAllOf_IsNone()
    {
        SiloHoldings[] silos = [Silo("a", Snapshot(10, new ShardPiece(0)))];

        Assert.Null(WorkerPlacing.Newest(WorkerPlacing.Place(Spec(1, 2), silos), TrainingStage.Prior, silos, 0, RecoveryMode.Continue));
    }

    private static TrainingSpec Spec(int replicas, int shards) => new() { Preset = "test", Dataset = "scenes", Model = "m", Replicas = replicas, Shards = shards };

    private static SiloHoldings[] Silos(int count) => [.. Enumerable.Range(0, count).Select(i => Silo($"silo-{i}"))];

    private static SiloHoldings Silo(string name, params ShardSnapshot[] snapshots) => new(name, new(new(name, "127.0.0.1:1", null, null), 0, Leaving: false, snapshots));

    private static ShardSnapshot Snapshot(int step, params ShardPiece[] pieces) => new(TrainingStage.Prior, step, pieces);
}
