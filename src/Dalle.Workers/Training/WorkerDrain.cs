using System.Collections.Concurrent;
using Dalle.Contracts.Cluster;
using Dalle.Workers.Hosting;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Training;

/// <summary>Lets a silo leave without losing an update: before its grains end, running stages save at a step boundary and their jobs name the checkpoints.</summary>
internal sealed class WorkerDrain(IOptions<WorkerOptions> options, TimeProvider clock) : ILifecycleParticipant<ISiloLifecycle>
{
    private readonly ConcurrentDictionary<StageRun, byte> _runs = [];
    private volatile bool _draining;

    /// <summary>The stages that run on this silo, in order of their jobs.</summary>
    public IReadOnlyList<RunningStage> Running => [.. _runs.Keys.Select(run => run.Stage).OrderBy(stage => stage.Job, StringComparer.Ordinal)];

    /// <summary>Whether the silo leaves.</summary>
    public bool Draining => _draining;

    /// <summary>Counts a run until it is left.</summary>
    public void Enter(StageRun run)
    {
        _runs[run] = 0;
        if (_draining)
        {
            run.Leave();
        }
    }

    public void Leave(StageRun run) => _runs.TryRemove(run, out _);

    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(WorkerDrain), ServiceLifecycleStage.Active, onStart: _ => Task.CompletedTask, onStop: Drain);

    private async Task Drain(CancellationToken cancellationToken)
    {
        _draining = true;
        var runs = _runs.Keys.ToArray();
        foreach (var run in runs)
        {
            run.Leave();
        }

        await Task.WhenAll(runs.Select(run => run.Left.Task))
            .WaitAsync(options.Value.StopTimeout, clock, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
