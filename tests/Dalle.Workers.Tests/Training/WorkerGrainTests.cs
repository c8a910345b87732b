using Dalle.Contracts.Training;

namespace Dalle.Workers.Tests.Training;

/// <summary>Stages of the test preset through a real worker in a silo.</summary>
public sealed class WorkerGrainTests(WorkerCluster cluster) : IClassFixture<WorkerCluster>
{
    private static int _jobs;

    private readonly string _job = $"job-{Interlocked.Increment(ref _jobs)}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Checkpoints => $"jobs/{_job}/checkpoints/discretevae";

    [Fact]
    public async Task Stage_SavesOnSchedule_AndDeletesOldCheckpointsOnlyOnceTheNewestIsNamed()
    {
        var there = new List<string>();
        var reports = await Run(cluster.Lease(TrainingStage.DiscreteVae), report =>
        {
            if (report is CheckpointReport)
            {
                there.Add(Steps());
            }

            return Task.CompletedTask;
        });

        Assert.Equal([5, 10, 15, 20], reports.OfType<CheckpointReport>().Select(report => report.Checkpoint.Step));
        Assert.Equal(["5", "5 10", "5 10 15", "10 15 20"], there);
        Assert.Equal("15 20", Steps());
        Assert.Equal(new DoneReport(), reports[^1]);
        Assert.True(cluster.Store.Exists($"jobs/{_job}/dvae.safetensors"));
    }

    [Fact]
    public async Task Checkpoints_LeftBeyondByALostRun_DoNotCountAsTheOnesToKeep()
    {
        cluster.Store.Write($"{Checkpoints}/step-00000999/state-0.safetensors", stream => stream.Write("damaged"u8));
        var lease = cluster.Lease(TrainingStage.DiscreteVae);
        var kept = new List<string>();

        await Run(lease with { Spec = lease.Spec with { KeepCheckpoints = 1 } }, report =>
        {
            kept.Add(report is CheckpointReport ? Steps() : "");
            return Task.CompletedTask;
        });

        Assert.Equal(["5 999", "5 10 999", "10 15 999", "15 20 999"], kept.Where(steps => steps != ""));
        Assert.Equal("20 999", Steps());
    }

    [Fact]
    public async Task Stage_StoppedAndResumed_SavesWhereItStopped_AndEndsWithTheSameBytes()
    {
        await cluster.Run($"{_job}-undisturbed", cluster.Lease(TrainingStage.DiscreteVae), null, Token);
        var stopped = await Run(cluster.Lease(TrainingStage.DiscreteVae), report =>
            report is CheckpointReport { Checkpoint.Step: 5 } ? cluster.Worker(_job).Stop(1, cancellationToken: Token) : Task.CompletedTask);
        var checkpoint = Assert.IsType<CheckpointReport>(stopped.FindLast(report => report is CheckpointReport)).Checkpoint;

        var resumed = await Run(cluster.Lease(TrainingStage.DiscreteVae, epoch: 2) with { Checkpoint = checkpoint });

        Assert.Equal(new StoppedReport(), stopped[^1]);
        Assert.InRange(checkpoint.Step, 5, 24);
        Assert.Equal(new StageStarted(TrainingStage.DiscreteVae, checkpoint.Step, 25), Assert.IsType<ProgressReport>(resumed[0]).Event);
        Assert.Equal(new DoneReport(), resumed[^1]);
        Assert.Equal(Bytes($"jobs/{_job}-undisturbed/dvae.safetensors"), Bytes($"jobs/{_job}/dvae.safetensors"));
    }

    [Fact]
    public async Task Stage_OpenedAhead_HasRehearsed_AndEndsWithTheSameBytes()
    {
        await cluster.Run($"{_job}-undisturbed", cluster.Lease(TrainingStage.DiscreteVae), null, Token);
        await Run(cluster.Lease(TrainingStage.DiscreteVae), report =>
            report is CheckpointReport { Checkpoint.Step: 5 } ? cluster.Worker(_job).Stop(1, StateKeeping.Memory, Token) : Task.CompletedTask);
        var kept = (await cluster.Shards(_job).Begin(2, Token)).Snapshots[0];
        var next = cluster.Lease(TrainingStage.DiscreteVae, epoch: 2) with { Snapshot = new RestorePoint(kept.Step, [], LostErrors: false) };

        await cluster.Worker(_job).Prepare(next, Token);
        await Run(next);

        Assert.Equal(Bytes($"jobs/{_job}-undisturbed/dvae.safetensors"), Bytes($"jobs/{_job}/dvae.safetensors"));
    }

    [Fact]
    public async Task Stop_OfARunThatHasYetToCome_EndsItAtOnce_AndALaterOneRuns()
    {
        await cluster.Worker(_job).Stop(1, cancellationToken: Token);

        var stopped = await Run(cluster.Lease(TrainingStage.DiscreteVae));
        var checkpoint = Assert.Single(stopped.OfType<CheckpointReport>()).Checkpoint;
        var later = await Run(cluster.Lease(TrainingStage.DiscreteVae, epoch: 2) with { Checkpoint = checkpoint });

        Assert.Equal((0, new StoppedReport()), (checkpoint.Step, stopped[^1]));
        Assert.Equal(new DoneReport(), later[^1]);
    }

    [Fact]
    public async Task Run_OfAnOlderLease_IsRefused()
    {
        await Run(cluster.Lease(TrainingStage.Prepare, epoch: 4));

        var error = await Assert.ThrowsAsync<StaleLeaseException>(() => Run(cluster.Lease(TrainingStage.Prepare, epoch: 3)));

        Assert.Equal((3, 4), (error.Offered, error.Current));
    }

    [Fact]
    public async Task Run_OfANewerLease_DropsTheRunBefore()
    {
        await using var first = cluster.Worker(_job).Run(Endless(epoch: 1), Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        Assert.True(await first.MoveNextAsync());

        var second = await Run(cluster.Lease(TrainingStage.Prepare, epoch: 2));

        Assert.Equal(new DoneReport(), second[^1]);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await first.MoveNextAsync())
            {
                Assert.IsNotType<DoneReport>(first.Current);
            }
        });
    }

    /// <summary>As when the job's own silo was lost: nothing that it has told of is done again.</summary>
    [Fact]
    public async Task Run_ThatIsLeft_KeepsItsLastUpdate_ForTheNextEpoch()
    {
        var told = 0;
        await foreach (var report in cluster.Worker(_job).Run(Endless(epoch: 1), Token).WithBatchSize(1).WithCancellation(Token))
        {
            if (report is ProgressReport { Event: DiscreteVaeStepCompleted done })
            {
                told = done.Step;
                break;
            }
        }

        var kept = (await cluster.Shards(_job).Begin(2, Token)).Snapshots[0];
        var next = Endless(epoch: 2) with { Snapshot = new RestorePoint(kept.Step, [], LostErrors: false) };
        var goesOn = await cluster.Worker(_job).Run(next, Token).WithBatchSize(1).FirstAsync(Token);

        Assert.InRange(kept.Step, told, int.MaxValue);
        Assert.Equal(kept.Step, Assert.IsType<StageStarted>(Assert.IsType<ProgressReport>(goesOn).Event).FromStep);
    }

    [Fact]
    public async Task Run_ThatIsLeft_Ends_AndDiscardDeletesTheJobsFiles()
    {
        await foreach (var report in cluster.Worker(_job).Run(Endless(epoch: 1), Token).WithBatchSize(1).WithCancellation(Token))
        {
            if (report is CheckpointReport)
            {
                break;
            }
        }

        await cluster.Worker(_job).Discard(Token);
        await cluster.Worker(_job).Discard(Token);

        Assert.Empty(cluster.Store.ListFolders($"jobs/{_job}"));
        Assert.False(Directory.Exists(cluster.Store.PathOf($"jobs/{_job}")));
    }

    [Fact]
    public async Task Stage_AfterPrepare_TrainsByThePresetAsItWasThen()
    {
        var lease = cluster.Lease(TrainingStage.Prepare);
        lease = lease with { Spec = lease.Spec with { DiscreteVaeUpdates = null } };
        await Run(lease);
        var plan = cluster.Store.PathOf($"jobs/{_job}/job.json");
        await File.WriteAllTextAsync(plan, (await File.ReadAllTextAsync(plan, Token)).Replace("\"updates\": 200", "\"updates\": 3", StringComparison.Ordinal), Token);

        var reports = await Run(lease with { Stage = TrainingStage.DiscreteVae, Spec = lease.Spec with { Preset = "of-the-past" } });

        Assert.Equal(new StageStarted(TrainingStage.DiscreteVae, 0, 3), Assert.IsType<ProgressReport>(reports[0]).Event);
        Assert.Equal(new DoneReport(), reports[^1]);
    }

    [Theory]
    [InlineData("test", "/no/such/folder", "There is no dataset '/no/such/folder'")]
    [InlineData("huge", "scenes", "huge")]
    public async Task Stage_ThatCannotBegin_FailsWithTheReason(string preset, string dataset, string named)
    {
        var lease = cluster.Lease(TrainingStage.Prepare, dataset: dataset);

        var report = Assert.IsType<FailedReport>(Assert.Single(await Run(lease with { Spec = lease.Spec with { Preset = preset } })));

        Assert.Contains(named, report.Reason, StringComparison.Ordinal);
    }

    private StageLease Endless(long epoch) => cluster.Lease(TrainingStage.DiscreteVae, epoch) is var lease
        ? lease with { Spec = lease.Spec with { DiscreteVaeUpdates = 1_000_000 } }
        : throw new InvalidOperationException();

    private string Steps() => string.Join(' ', cluster.Store.ListFolders(Checkpoints).Select(folder => int.Parse(folder.Split('-')[^1], System.Globalization.CultureInfo.InvariantCulture)));

    private byte[] Bytes(string key) => File.ReadAllBytes(cluster.Store.PathOf(key));

    private Task<List<WorkerReport>> Run(StageLease lease, Func<WorkerReport, Task>? observe = null) => cluster.Run(_job, lease, observe, Token);
}
