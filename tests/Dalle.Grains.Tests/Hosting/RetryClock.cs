using System.Threading.Channels;

namespace Dalle.Grains.Tests.Hosting;

/// <summary>The system's time, except that the pause of a job between two tries takes no time, or as long as a test wants.</summary>
public sealed class RetryClock : TimeProvider
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly Channel<Action> _held = Channel.CreateUnbounded<Action>();
    private volatile bool _holding;

    /// <summary>From now on a pause lasts until it is taken from <see cref="NextHeld"/> and invoked.</summary>
    public void Hold() => _holding = true;

    /// <summary>The end of the next held pause.</summary>
    public ValueTask<Action> NextHeld(CancellationToken cancellationToken) => _held.Reader.ReadAsync(cancellationToken);

    /// <summary>Pauses take no time again.</summary>
    public void Go() => _holding = false;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime != RetryDelay || period != Timeout.InfiniteTimeSpan)
        {
            return base.CreateTimer(callback, state, dueTime, period);
        }

        if (!_holding)
        {
            return base.CreateTimer(callback, state, TimeSpan.Zero, period);
        }

        _held.Writer.TryWrite(() => callback(state));
        return new HeldTimer();
    }

    private sealed class HeldTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
