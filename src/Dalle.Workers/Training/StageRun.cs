using System.Threading.Channels;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;

namespace Dalle.Workers.Training;

/// <summary>One run of a stage, between the grain that hands out its reports and the stage that makes them.</summary>
internal sealed class StageRun(RunningStage stage) : IDisposable
{
    /// <summary>Reports that may wait for the job before the stage waits for it.</summary>
    private const int MaxWaiting = 256;

    private readonly Channel<WorkerReport> _reports = Channel.CreateBounded<WorkerReport>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true, SingleWriter = true });
    private readonly CancellationTokenSource _abort = new();
    private Task _work = Task.CompletedTask;
    private volatile int _stop;
    private volatile bool _leaving;

    /// <summary>Which stage, of which job.</summary>
    public RunningStage Stage => stage;

    /// <summary>Reports in order; fails as the stage fails.</summary>
    public ChannelReader<WorkerReport> Reports => _reports.Reader;

    /// <summary>Where the stage was asked to keep its state at the next step boundary, and to end; null while it is to go on.</summary>
    public StateKeeping? Stopping => _stop == 0 ? null : (StateKeeping)(_stop - 1);

    /// <summary>Whether that is because the silo leaves.</summary>
    public bool Leaving => _leaving;

    /// <summary>Whether the last report has been taken and the run has ended.</summary>
    public TaskCompletionSource Left { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Runs a stage beside the grain, on the thread pool: its heavy work goes to the device's thread.</summary>
    public void Begin(Func<StageRun, CancellationToken, Task<WorkerReport>> work) => _work = Task.Run(async () =>
    {
        try
        {
            await Report(await work(this, _abort.Token));
            _reports.Writer.Complete();
        }
        catch (Exception error)
        {
            _reports.Writer.Complete(error);
        }
    });

    /// <summary>Hands on a report; waits while too many wait.</summary>
    public ValueTask Report(WorkerReport report) => _reports.Writer.WriteAsync(report, _abort.Token);

    /// <summary>Asks the stage to keep its state and end. A checkpoint that was asked for before is written all the same.</summary>
    public void Stop(StateKeeping keep)
    {
        if (_stop == 0 || keep == StateKeeping.Checkpoint)
        {
            _stop = (int)keep + 1;
        }
    }

    /// <summary>Asks the stage to keep its state and end, because the silo leaves.</summary>
    public void Leave()
    {
        _leaving = true;
        Stop(StateKeeping.Checkpoint);
    }

    /// <summary>Ends the stage within a step or two, without a checkpoint, and waits for that. May be called at any time, by several at once.</summary>
    public async Task Abort()
    {
        if (!Left.Task.IsCompleted)
        {
            await _abort.CancelAsync();
        }

        await _work;
    }

    // The source of the token has nothing to free, and somebody may be about to cancel it.
    public void Dispose() => Left.TrySetResult();
}
