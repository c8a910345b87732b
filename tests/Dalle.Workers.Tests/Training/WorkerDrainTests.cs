using Dalle.Contracts.Training;
using Dalle.Workers.Hosting;
using Dalle.Workers.Training;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Orleans;
using Orleans.Runtime;

namespace Dalle.Workers.Tests.Training;

public sealed class WorkerDrainTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new();
    private readonly SiloLife _silo = new();
    private readonly WorkerDrain _drain;
    private readonly StageRun _run = new(new("job", TrainingStage.DiscreteVae, 1, "0/0"));

    public WorkerDrainTests()
    {
        _drain = new(Options.Create(new WorkerOptions { StopTimeout = TimeSpan.FromSeconds(60) }), _clock);
        _drain.Participate(_silo);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _run.Dispose();

    [Fact]
    public void Running_ListsTheStagesOfRuns_UntilTheyAreLeft()
    {
        _drain.Enter(_run);
        Assert.Equal([new("job", TrainingStage.DiscreteVae, 1, "0/0")], _drain.Running);

        _drain.Leave(_run);
        Assert.Empty(_drain.Running);
    }

    [Fact]
    public async Task SiloThatLeaves_AsksItsRunsToStop_AndWaitsUntilTheyAreLeft()
    {
        await _silo.OnStart(Token);
        _drain.Enter(_run);

        var stopping = _silo.OnStop(Token);

        Assert.Equal((StateKeeping.Checkpoint, true), (_run.Stopping, _run.Leaving));
        Assert.False(stopping.IsCompleted);
        _run.Dispose();
        await stopping;
    }

    [Fact]
    public async Task SiloThatLeaves_WaitsNoLongerThanItMay()
    {
        await _silo.OnStart(Token);
        _drain.Enter(_run);
        var stopping = _silo.OnStop(Token);

        _clock.Advance(TimeSpan.FromSeconds(59));
        Assert.False(stopping.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));

        await stopping;
    }

    [Fact]
    public async Task RunsThatWereLeft_AreNotWaitedFor_NorStopped()
    {
        await _silo.OnStart(Token);
        _drain.Enter(_run);
        _drain.Leave(_run);

        await _silo.OnStop(Token);

        Assert.Null(_run.Stopping);
    }

    [Fact]
    public async Task RunThatBeginsWhileTheSiloLeaves_IsStoppedAtOnce()
    {
        await _silo.OnStart(Token);
        await _silo.OnStop(Token);

        _drain.Enter(_run);

        Assert.Equal((StateKeeping.Checkpoint, true), (_run.Stopping, _run.Leaving));
    }

    private sealed class SiloLife() : LifecycleSubject(NullLogger.Instance), ISiloLifecycle
    {
        public int HighestCompletedStage => 0;

        public int LowestStoppedStage => 0;
    }
}
