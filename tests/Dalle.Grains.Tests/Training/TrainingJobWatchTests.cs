using Dalle.Contracts;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;
using Orleans.Core.Internal;

namespace Dalle.Grains.Tests.Training;

/// <summary>Watchers of a job miss nothing, whenever they come and however slow they are.</summary>
public sealed class TrainingJobWatchTests(GrainCluster cluster) : ScriptedJob(cluster)
{
    [Fact]
    public async Task Watch_ThatComesWhileTheEndIsBeingStored_IsToldTheEnd()
    {
        await StartAt(TrainingStage.Tokenizer);
        var held = Cluster.Stored.HoldNextWrite(JobId);
        Script.Say(new FailedReport("disk full"));
        var failing = await held.ReadAsync(Token);
        await using var watch = Job.Watch(0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        var events = new List<TrainingEvent>();
        while (events.Count < 2 && await watch.MoveNextAsync())
        {
            events.Add(watch.Current);
        }

        var last = watch.MoveNextAsync().AsTask();
        await Job.GetStatus(Token);
        failing.SetResult();

        Assert.True(await last);
        Assert.Equal("Running, Prepare done, Failed (disk full)", Text([.. events, watch.Current]));
    }

    [Fact]
    public async Task Watch_CutOffRightBeforeTheEnd_IsToldItByAnotherActivation_Once()
    {
        await StartAt(TrainingStage.Tokenizer);
        DoneFrom(TrainingStage.Tokenizer);
        var events = await Watch();
        await Job.AsReference<IGrainManagementExtension>().DeactivateOnIdle(Token);

        var rest = await Watch(after: events[^2].Sequence);

        Assert.Equal("Completed", Text(rest));
        Assert.Equal(events[^1].Sequence, rest[0].Sequence);
        Assert.Empty(await Watch(after: events[^1].Sequence));
    }

    [Fact]
    public async Task Watch_Late_SlowOrCutOff_MissesNothing()
    {
        await StartAt(TrainingStage.Prior);
        var early = Watch();
        Script.Say(Steps(1, 40));
        await Job.Watch(0, Token).FirstAsync(item => item is PriorStepCompleted { Step: 40 }, Token);

        // A reader that took three events and was cut off.
        var cut = new List<TrainingEvent>();
        await foreach (var item in Job.Watch(0, Token).WithBatchSize(1))
        {
            cut.Add(item);
            if (cut.Count == 3)
            {
                break;
            }
        }

        // A reader that takes one event and then none until the job has come to its end.
        await using var slow = Job.Watch(0, Token).WithBatchSize(1).GetAsyncEnumerator(Token);
        Assert.True(await slow.MoveNextAsync());
        var slowly = new List<TrainingEvent> { slow.Current };
        Script.Say(Steps(41, 100));
        DoneFrom(TrainingStage.Prior);
        var whole = await early;
        while (await slow.MoveNextAsync())
        {
            slowly.Add(slow.Current);
        }

        cut.AddRange(await Watch(cut[^1].Sequence));
        Assert.Equal([.. Enumerable.Range(1, 100)], whole.OfType<PriorStepCompleted>().Select(item => item.Step));
        Assert.EndsWith("Completed", Text(whole), StringComparison.Ordinal);
        Assert.Equal(whole, await Watch());
        Assert.Equal(whole, slowly);
        Assert.Equal(whole, cut);
        Assert.Equal(whole.Select(item => item.Sequence).Distinct().Order(), whole.Select(item => item.Sequence));
        Assert.Empty(await Watch(whole[^1].Sequence));
    }

    [Fact]
    public async Task Watch_OfManyEvents_KeepsTheNewest()
    {
        await StartAt(TrainingStage.Prior);
        Script.Say(Steps(1, 600));
        DoneFrom(TrainingStage.Prior);
        await Watch();

        var events = await Watch();

        Assert.Equal(512, events.Count);
        Assert.EndsWith("prior 600, Prior done, Reranker done, Publish done, " + $"published {Spec.Model}, Completed", Text(events), StringComparison.Ordinal);
    }
}
