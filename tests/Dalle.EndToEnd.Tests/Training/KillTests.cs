using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>A silo killed with no chance to save: the next one goes on by itself, to the same bytes.</summary>
public sealed class KillTests(UndisturbedRun undisturbed, ITestOutputHelper output)
{
    [Fact]
    public async Task KilledInThePrior_GoesOnByItself_ToTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        var step = Draw();
        await using (var silo = await SiloProcess.Start(folder.FullName))
        {
            await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, TestContext.Current.CancellationToken);
            await silo.Watch(UndisturbedRun.Job, next => next is PriorStepCompleted done && done.Step >= step);
            await silo.End(Signal.Kill);
        }

        await using var next = await SiloProcess.Start(folder.FullName);
        var (events, model) = await next.Finish(UndisturbedRun.Job);
        var resumed = events.OfType<StageStarted>().First();
        Assert.Equal(TrainingStage.Prior, resumed.Stage);
        Assert.InRange(resumed.FromStep, step - UndisturbedRun.Spec.CheckpointEvery, UndisturbedRun.Spec.PriorUpdates!.Value - 1);
        undisturbed.AssertSame(folder.FullName, model.Path);
    }

    /// <summary>An update between two checkpoints, another one in every run of the tests.</summary>
    private int Draw()
    {
        var seed = Environment.TickCount;
        var step = new Random(seed).Next(10, 60);
        output.WriteLine($"Seed {seed}: killed after update {step}.");
        return step;
    }
}
