using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Training;

/// <summary><c>dalle jobs</c> on a job that runs in a silo of its own.</summary>
public sealed class JobCommandTests(UndisturbedRun undisturbed) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task PauseAndResume_OfARunningJob_EndInTheSameBytes()
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await silo.Client.Submit(UndisturbedRun.Spec, UndisturbedRun.Job, Token);
        var paused = await Jobs("pause", UndisturbedRun.Job);
        var shown = await Jobs("show", UndisturbedRun.Job);
        var resumed = await Jobs("resume", UndisturbedRun.Job);
        var model = await silo.Finish(UndisturbedRun.Job);

        Assert.Equal((0, "Job job is paused.\n"), (paused.ExitCode, paused.Error));
        Assert.Equal("paused", shown.Json.GetProperty("phase").GetString());
        Assert.Equal((0, "Job job is running.\n"), (resumed.ExitCode, resumed.Error));
        undisturbed.AssertSame(_folder.FullName, model.Path);
    }

    [Fact]
    public async Task Cancel_OfARunningJob_EndsItForGood()
    {
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await silo.Client.Submit(UndisturbedRun.Spec with { DiscreteVaeUpdates = 1_000_000 }, UndisturbedRun.Job, Token);
        var watching = silo.Watch(UndisturbedRun.Job, next => next is PhaseChanged { Phase: TrainingPhase.Cancelled });
        var cancelled = await Jobs("cancel", UndisturbedRun.Job);
        await watching;
        var resumed = await Jobs("resume", UndisturbedRun.Job);

        Assert.Equal((0, "Job job is cancelled.\n"), (cancelled.ExitCode, cancelled.Error));
        Assert.Equal((1, "dalle: The job is cancelled; only a paused or failed job can be resumed.\n"), (resumed.ExitCode, resumed.Error));
        Assert.False(Directory.Exists(Path.Combine(_folder.FullName, "artifacts", "jobs", UndisturbedRun.Job)));
    }

    /// <summary>Watchers hear of the pause a moment before the job is done with it.</summary>
    [Fact(Timeout = 120_000)]
    public async Task Resume_AtTheMomentOfThePause_IsNotLost()
    {
        var token = TestContext.Current.CancellationToken;
        await using var silo = await SiloProcess.Start(_folder.FullName);
        await silo.Client.Submit(UndisturbedRun.Spec with { DiscreteVaeUpdates = 1_000_000 }, UndisturbedRun.Job, token);
        await silo.Watch(UndisturbedRun.Job, next => next is DiscreteVaeStepCompleted { Step: >= 5 });
        var pausing = silo.Client.Pause(UndisturbedRun.Job, token);
        await silo.Watch(UndisturbedRun.Job, next => next is PhaseChanged { Phase: TrainingPhase.Paused });
        await silo.Client.Resume(UndisturbedRun.Job, cancellationToken: token);
        await pausing;
        await silo.Watch(UndisturbedRun.Job, next => next is StageStarted { FromStep: > 0 });
    }

    public void Dispose() => _folder.Dispose();

    private Task<DalleProcess.Result> Jobs(string verb, string job) => DalleProcess.Run("jobs", verb, job, "--json", "--data-dir", _folder.FullName);
}
