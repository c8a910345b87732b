using System.Runtime.CompilerServices;
using Dalle.Contracts.Generation;

namespace Dalle.Grains.Generation;

/// <summary>A session's events, in memory, for those who read it now or later; and who reads it.</summary>
/// <remarks>Used only on its grain's scheduler.</remarks>
internal sealed class SessionEvents
{
    private readonly SortedList<long, GenerationEvent> _events = [];
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _over;
    private Exception? _failure;

    /// <summary>Readers at this moment.</summary>
    public int Readers { get; private set; }

    /// <summary>Adds an event. One that is there already is left as it is.</summary>
    public void Add(GenerationEvent item)
    {
        if (_events.TryAdd(item.Sequence, item))
        {
            Tell();
        }
    }

    /// <summary>There will be no more events; readers end, with the failure if there is one.</summary>
    public void Close(Exception? failure)
    {
        (_over, _failure) = (true, failure);
        Tell();
    }

    /// <summary>The events after a number, then those to come.</summary>
    /// <param name="after">Number of the last event already seen.</param>
    /// <param name="left">Called when the last reader leaves.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public async IAsyncEnumerable<GenerationEvent> Follow(long after, Action left, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Readers++;
        try
        {
            while (true)
            {
                var news = _news.Task;
                foreach (var item in _events.Values.Where(item => item.Sequence > after).ToArray())
                {
                    yield return item;
                    after = item.Sequence;
                }

                if (news.IsCompleted)
                {
                    continue;
                }

                if (_over)
                {
                    if (_failure is not null)
                    {
                        throw _failure;
                    }

                    yield break;
                }

                await news.WaitAsync(cancellationToken);
            }
        }
        finally
        {
            if (--Readers == 0)
            {
                left();
            }
        }
    }

    private void Tell()
    {
        var news = _news;
        _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
        news.SetResult();
    }
}
