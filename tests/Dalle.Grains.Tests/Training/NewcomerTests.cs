using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;
using Orleans.Runtime;
using Orleans.TestingHost;

namespace Dalle.Grains.Tests.Training;

/// <summary>Jobs with more workers than silos, while silos join.</summary>
public sealed class NewcomerTests(GrainCluster cluster) : SharedJob(cluster), IAsyncDisposable
{
    private readonly List<InProcessSiloHandle> _joined = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _joined)
        {
            await Cluster.Stop(silo);
        }

        Dispose();
    }

    [Fact]
    public async Task Newcomer_OpensWhatItNeeds_BeforeTheOthersStop_AndThenGetsItsShare()
    {
        var asked = new TaskCompletionSource<(string Silo, StageLease Lease)>(TaskCreationOptions.RunContinuationsAsynchronously);
        var opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Script.Prepare = (silo, ahead) =>
        {
            asked.TrySetResult((silo, ahead));
            return opened.Task;
        };
        var lease = await StartPrior(3, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        var newcomer = await Join();

        var ahead = await asked.Task.WaitAsync(Token);
        Host(leader).Worker.Say(Steps(1, 3));
        await Job.Watch(0, Token).FirstAsync(item => item is PriorStepCompleted { Step: 3 }, Token);
        Assert.Equal((0, 0), (Host(leader).Worker.Stops, Host(follower).Worker.Stops));

        Host(leader).Snapshots = [Snapshot(3, new ShardPiece(0))];
        Host(follower).Snapshots = Host(leader).Snapshots;
        opened.SetResult();
        Assert.Equal((lease.Epoch, StateKeeping.Memory), await Host(leader).Worker.NextStop(Token));
        Assert.Equal((lease.Epoch, StateKeeping.Memory), await Host(follower).Worker.NextStop(Token));
        var next = await NextLease(leader, follower, newcomer);
        var events = await End(next);

        Assert.Equal($"{leader} has 0/0, {follower} has 1/0, {newcomer} has 2/0", Text(next.Placement));
        Assert.Equal((newcomer, lease.Epoch, null, Text(next.Placement)), (ahead.Silo, ahead.Lease.Epoch, ahead.Lease.Snapshot, Text(ahead.Lease.Placement)));
        Assert.Equal([new(new(0), leader, newcomer)], next.Snapshot!.Transfers);
        AssertTold(next, fromStep: 3, "a silo has joined", events);
    }

    [Fact]
    public async Task Newcomer_ThatCannotOpenWhatItNeeds_StopsNobody_AndGetsNoWorkersUntilTheJobIsBegunAgain()
    {
        var asked = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Script.Prepare = (silo, _) =>
        {
            asked.TrySetResult(silo);
            return asked.Task.Result == silo ? throw new InvalidDataException("there is no such dataset here") : Task.CompletedTask;
        };
        var lease = await StartPrior(4, 1);
        var (leader, follower) = (Names(lease)[0], Names(lease)[1]);
        var unfit = await Join();
        Assert.Equal(unfit, await asked.Task.WaitAsync(Token));

        // The next one can: only now the others stop, and the first is not among those that go on.
        var fit = await Join();
        var next = await NextLease(leader, follower, fit);
        await Job.Pause(Token);
        await Job.Resume(cancellationToken: Token);
        var resumed = await NextLease(leader, follower, fit, unfit);
        var events = await End(resumed);

        Assert.Equal((lease.Epoch + 1, $"{leader} has 0-1/0, {follower} has 2/0, {fit} has 3/0"), (next.Epoch, Text(next.Placement)));
        Assert.Equal(lease.Epoch + 2, resumed.Epoch);
        Assert.Equal(["a silo has joined", "the job was begun"], events.OfType<WorkersPlaced>().Select(placed => placed.Cause).TakeLast(2));
    }

    [Fact]
    public async Task Newcomer_ThatDoesNotAnswer_IsAskedAgain()
    {
        var asked = 0;
        Script.Prepare = (_, _) => Interlocked.Increment(ref asked) == 1 ? throw new SiloUnavailableException("it has only just begun") : Task.CompletedTask;
        var lease = await StartPrior(3, 1);
        var newcomer = await Join();

        var next = await NextLease([.. Names(lease), newcomer]);

        Assert.Equal((2, lease.Epoch + 1), (asked, next.Epoch));
        AssertTold(next, fromStep: 0, "a silo has joined", await End(next));
    }

    private async Task<string> Join()
    {
        _joined.Add(await Cluster.Join());
        return Name(_joined[^1]);
    }
}
