using Dalle.Contracts.Training;

namespace Dalle.Benchmarks.Cluster;

/// <summary>A job's events as they come.</summary>
internal sealed class JobWatch(IAsyncEnumerable<TrainingEvent> events) : IAsyncDisposable
{
    private readonly IAsyncEnumerator<TrainingEvent> _events = events.GetAsyncEnumerator();

    /// <summary>Updates of the prior that were reported.</summary>
    public int Step { get; private set; }

    /// <summary>Reads up to and with the first that is wanted.</summary>
    /// <param name="wanted">Whether one is.</param>
    /// <param name="observe">Is given every one that is read.</param>
    public async Task<TrainingEvent> Until(Predicate<TrainingEvent> wanted, Action<TrainingEvent>? observe = null)
    {
        while (await _events.MoveNextAsync())
        {
            Step = _events.Current is PriorStepCompleted step ? Math.Max(Step, step.Step) : Step;
            observe?.Invoke(_events.Current);
            if (wanted(_events.Current))
            {
                return _events.Current;
            }
        }

        throw new InvalidOperationException($"The job came to rest: {_events.Current}.");
    }

    /// <summary>Reads for some time.</summary>
    public Task For(TimeSpan time)
    {
        var end = TimeProvider.System.GetUtcNow() + time;
        return Until(next => next.At >= end);
    }

    public ValueTask DisposeAsync() => _events.DisposeAsync();
}
