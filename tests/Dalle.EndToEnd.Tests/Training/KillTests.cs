using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>A silo killed with no chance to save: the next one goes on by itself, to the same bytes. Publishing is <see cref="HalfWrittenFileTests"/>'.</summary>
public sealed class KillTests(UndisturbedRun undisturbed, ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task KilledInEveryStageThatTakesTime_GoesOnByItself_ToTheSameBytes()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var (vae, picture, prior) = (random.Next(10, 60), random.Next(1, 12_000), random.Next(10, 60));
        output.WriteLine($"Seed {seed}: killed after update {vae} of the dvae, picture {picture} of the encoding, and update {prior} of the prior.");

        await KillAfter(next => next is DiscreteVaeStepCompleted done && done.Step >= vae, begin: UndisturbedRun.Spec);
        var inVae = await KillAfter(next => next is StageAdvanced { Stage: TrainingStage.Encode } done && done.Done >= picture);
        var inEncode = await KillAfter(next => next is PriorStepCompleted done && done.Step >= prior);
        await using var silo = await SiloProcess.Start(_folder.FullName);
        var inPrior = await silo.Watch(UndisturbedRun.Job, next => next is StageStarted);
        var model = await silo.Finish(UndisturbedRun.Job);

        AssertWentOn(inVae, TrainingStage.DiscreteVae, vae - UndisturbedRun.Spec.CheckpointEvery);
        Assert.Equal(TrainingStage.Encode, inEncode.OfType<StageAdvanced>().First().Stage);
        AssertWentOn(inPrior, TrainingStage.Prior, prior - UndisturbedRun.Spec.CheckpointEvery);
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    /// <summary>With more threads than one each takes a slice of the batch: another way through the networks than that of the other tests.</summary>
    [Fact]
    public async Task KilledOnTwoThreads_GoesOnByItself_ToTheSameBytes()
    {
        var spec = UndisturbedRun.Spec with { ThreadsPerWorker = 2, DiscreteVaeUpdates = 60, PriorUpdates = 60, RerankerUpdates = 150, CheckpointEvery = 5 };
        var expected = await UndisturbedRun.Of(spec);

        await KillAfter(next => next is CheckpointWritten { Checkpoint: { Stage: TrainingStage.DiscreteVae, Step: >= 10 } }, begin: spec);
        var inVae = await KillAfter(next => next is CheckpointWritten { Checkpoint: { Stage: TrainingStage.Prior, Step: >= 10 } });
        var inPrior = await KillAfter(next => next is CheckpointWritten { Checkpoint: { Stage: TrainingStage.Reranker, Step: >= 10 } });
        await using var silo = await SiloProcess.Start(_folder.FullName);
        var inReranker = await silo.Watch(UndisturbedRun.Job, next => next is StageStarted);
        var model = await silo.Finish(UndisturbedRun.Job);

        AssertWentOn(inVae, TrainingStage.DiscreteVae, 10);
        AssertWentOn(inPrior, TrainingStage.Prior, 10);
        AssertWentOn(inReranker, TrainingStage.Reranker, 10);
        expected.AssertSame(_folder.FullName, model.Path);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Lets a silo run until an event, then kills it.</summary>
    /// <param name="wanted">The event.</param>
    /// <param name="begin">The job to begin; null to go on with it.</param>
    /// <returns>The events seen.</returns>
    private async Task<IReadOnlyList<TrainingEvent>> KillAfter(Func<TrainingEvent, bool> wanted, TrainingSpec? begin = null)
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        if (begin is not null)
        {
            await silo.Client.Submit(begin, UndisturbedRun.Job, Token);
        }

        var events = await silo.Watch(UndisturbedRun.Job, wanted);
        await silo.End(Signal.Kill);
        return events;
    }

    /// <summary>Fails unless the first stage that began did so from a checkpoint, at that update or a later one.</summary>
    private static void AssertWentOn(IReadOnlyList<TrainingEvent> events, TrainingStage stage, int least)
    {
        var resumed = events.OfType<StageStarted>().First();
        Assert.Equal(stage, resumed.Stage);
        Assert.InRange(resumed.FromStep, Math.Max(least, 1), resumed.Updates - 1);
    }
}
