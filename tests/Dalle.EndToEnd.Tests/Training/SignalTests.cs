using System.Text.Json;
using System.Text.RegularExpressions;
using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary>Commands that are told to stop: they save first, so that no update is done twice.</summary>
public sealed partial class SignalTests(UndisturbedRun undisturbed) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silo_ToldToStop_SavesAndGoesOnAtTheNextStart_ToTheSameBytes()
    {
        int vae, prior;
        await using (var silo = await SiloProcess.Start(_folder.FullName))
        {
            await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, Token);
            vae = ((DiscreteVaeStepCompleted)(await silo.Watch(UndisturbedRun.Job, next => next is DiscreteVaeStepCompleted { Step: >= 10 }))[^1]).Step;
            AssertInOrder(await silo.End(Signal.Terminate));
        }

        StageStarted resumedVae;
        await using (var silo = await SiloProcess.Start(_folder.FullName))
        {
            var events = await silo.Watch(UndisturbedRun.Job, next => next is PriorStepCompleted { Step: >= 10 });
            (resumedVae, prior) = (events.OfType<StageStarted>().First(), ((PriorStepCompleted)events[^1]).Step);
            AssertInOrder(await silo.End(Signal.Interrupt));
        }

        await using var last = await SiloProcess.Start(_folder.FullName);
        var resumedPrior = (StageStarted)(await last.Watch(UndisturbedRun.Job, next => next is StageStarted))[^1];
        var model = await last.Finish(UndisturbedRun.Job);

        Assert.Equal(TrainingStage.DiscreteVae, resumedVae.Stage);
        Assert.InRange(resumedVae.FromStep, vae, resumedVae.Updates - 1);
        Assert.Equal(TrainingStage.Prior, resumedPrior.Stage);
        Assert.InRange(resumedPrior.FromStep, prior, resumedPrior.Updates - 1);
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    /// <summary>The user's way: no silo, Ctrl-C, then the command that the output names.</summary>
    [Theory]
    [InlineData("Interrupt")]
    [InlineData("Terminate")]
    public async Task Train_ToldToStop_SavesAndIsResumed_ToTheSameBytes(string signal)
    {
        var spec = UndisturbedRun.Spec;
        await using var train = RunningDalle.Start(
            "train", "--preset", spec.Preset, "--data", spec.Dataset, "--model", spec.Model, "--seed", $"{spec.Seed}", "--threads", $"{spec.ThreadsPerWorker}",
            "--dvae-updates", $"{spec.DiscreteVaeUpdates}", "--prior-updates", $"{spec.PriorUpdates}", "--checkpoint-every", $"{spec.CheckpointEvery}",
            "--json", "--data-dir", _folder.FullName);
        using var seen = JsonDocument.Parse(await train.Line("""{"type":"checkpoint","""));
        train.Send(Enum.Parse<Signal>(signal));
        var interrupted = await train.End();

        Assert.Equal(130, interrupted.ExitCode);
        var paused = PausedLine.Match(interrupted.Error);
        Assert.True(paused.Success, interrupted.Error);
        Assert.InRange(int.Parse(paused.Groups["step"].ValueSpan), seen.RootElement.GetProperty("checkpoint").GetProperty("step").GetInt32(), spec.DiscreteVaeUpdates!.Value);

        var resumed = await DalleProcess.Run([.. paused.Groups["command"].Value.Split(' ')]);
        Assert.Equal((0, ""), (resumed.ExitCode, resumed.Error));
        Assert.Contains($"dvae goes on from update {paused.Groups["step"]} of 100", resumed.Output, StringComparison.Ordinal);
        Assert.Contains("Model crash is published.", resumed.Output, StringComparison.Ordinal);
        undisturbed.AssertSame(_folder.FullName, $"models/{spec.Model}/{paused.Groups["job"]}");
    }

    public void Dispose() => _folder.Dispose();

    // Warnings may be logged on a busy machine, errors may not.
    private static void AssertInOrder(DalleProcess.Result result)
    {
        Assert.Equal(0, result.ExitCode);
        Assert.DoesNotContain(result.ErrorLines, line => line.Contains(" fail: ", StringComparison.Ordinal) || line.StartsWith("dalle: ", StringComparison.Ordinal));
    }

    [GeneratedRegex(@"Paused in dvae at update (?<step>\d+) of 100\. Resume with: dalle (?<command>jobs resume (?<job>\S+) --data-dir \S+)")]
    private static partial Regex PausedLine { get; }
}
