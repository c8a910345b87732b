using System.Runtime.CompilerServices;
using Dalle.Contracts.Training;

namespace Dalle.Grains.Training;

/// <summary>The newest events of a job, in memory, for those who watch it.</summary>
/// <param name="clock">Dates the events.</param>
/// <param name="capacity">Events kept.</param>
/// <remarks>Used only on its grain's scheduler.</remarks>
internal sealed class EventLog(TimeProvider clock, int capacity = 512)
{
    private readonly Queue<TrainingEvent> _events = new();
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _last;

    /// <summary>Numbers and dates an event and tells the watchers.</summary>
    public void Add(TrainingEvent entry)
    {
        var now = clock.GetUtcNow();

        // At least the time in milliseconds: numbers go on growing in another activation, with nothing stored.
        _last = Math.Max(_last + 1, now.ToUnixTimeMilliseconds());
        _events.Enqueue(entry with { Sequence = _last, At = now });
        if (_events.Count > capacity)
        {
            _events.Dequeue();
        }

        Interlocked.Exchange(ref _news, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    /// <summary>The kept events after a number, then those to come, until <paramref name="atRest"/> says that none will.</summary>
    public async IAsyncEnumerable<TrainingEvent> Follow(long after, Func<bool> atRest, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var news = _news.Task;
            foreach (var entry in _events.Where(entry => entry.Sequence > after).ToArray())
            {
                yield return entry;
                after = entry.Sequence;
            }

            if (news.IsCompleted)
            {
                continue;
            }

            if (atRest())
            {
                yield break;
            }

            await news.WaitAsync(cancellationToken);
        }
    }
}
