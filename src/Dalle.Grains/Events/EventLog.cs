using System.Runtime.CompilerServices;

namespace Dalle.Grains.Events;

/// <summary>The newest events of a grain, in memory, for those who follow it.</summary>
/// <typeparam name="T">The events.</typeparam>
/// <param name="number">Gives an event its number, which must be above the last one.</param>
/// <param name="numberOf">Reads an event's number.</param>
/// <param name="capacity">Events kept.</param>
/// <remarks>Used only on its grain's scheduler.</remarks>
internal sealed class EventLog<T>(Func<T, long, T> number, Func<T, long> numberOf, int capacity)
{
    private readonly Queue<T> _events = new();
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Number of the newest event; 0 before the first.</summary>
    public long Last { get; private set; }

    /// <summary>The newest event; none before the first.</summary>
    public T? Newest { get; private set; }

    /// <summary>Numbers an event and tells the followers.</summary>
    public void Add(T entry) => Restore(number(entry, Last));

    /// <summary>Adds an event that has its number from another activation.</summary>
    public void Restore(T numbered)
    {
        (Last, Newest) = (numberOf(numbered), numbered);
        _events.Enqueue(numbered);
        if (_events.Count > capacity)
        {
            _events.Dequeue();
        }

        Wake();
    }

    /// <summary>Lets the followers look again whether more is to come.</summary>
    public void Wake() => Interlocked.Exchange(ref _news, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

    /// <summary>The kept events after a number, then those to come, until <paramref name="atRest"/> says that none will.</summary>
    public async IAsyncEnumerable<T> Follow(long after, Func<bool> atRest, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var news = _news.Task;
            foreach (var entry in _events.Where(entry => numberOf(entry) > after).ToArray())
            {
                yield return entry;
                after = numberOf(entry);
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
