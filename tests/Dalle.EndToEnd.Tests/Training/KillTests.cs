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

        await KillAfter(next => next is DiscreteVaeStepCompleted done && done.Step >= vae, begin: true);
        var inVae = await KillAfter(next => next is StageAdvanced { Stage: TrainingStage.Encode } done && done.Done >= picture);
        var inEncode = await KillAfter(next => next is PriorStepCompleted done && done.Step >= prior);
        await using var silo = await SiloProcess.Start(_folder.FullName);
        var model = await silo.Finish(UndisturbedRun.Job);

        AssertWentOn(inVae, TrainingStage.DiscreteVae, vae);
        Assert.Equal(TrainingStage.Encode, inEncode.OfType<StageAdvanced>().First().Stage);
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Lets a silo run until an event, then kills it.</summary>
    /// <returns>The events seen.</returns>
    private async Task<IReadOnlyList<TrainingEvent>> KillAfter(Func<TrainingEvent, bool> wanted, bool begin = false)
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        if (begin)
        {
            await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, Token);
        }

        var events = await silo.Watch(UndisturbedRun.Job, wanted);
        await silo.End(Signal.Kill);
        return events;
    }

    private static void AssertWentOn(IReadOnlyList<TrainingEvent> events, TrainingStage stage, int after)
    {
        var resumed = events.OfType<StageStarted>().First();
        Assert.Equal(stage, resumed.Stage);
        Assert.InRange(resumed.FromStep, after - UndisturbedRun.Spec.CheckpointEvery, resumed.Updates - 1);
    }
}
