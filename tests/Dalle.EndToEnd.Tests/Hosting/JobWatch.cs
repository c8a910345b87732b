using Dalle.Client;
using Dalle.Contracts.Training;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>A job's events as they come.</summary>
internal sealed class JobWatch(DalleClient client, string job)
{
    private readonly IAsyncEnumerator<TrainingEvent> _events =
        client.Watch(job, cancellationToken: TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);

    private readonly List<TrainingEvent> _seen = [];

    /// <summary>Fails if watchers were told of an update, and later of one before it.</summary>
    public static void AssertNeverBack(IReadOnlyList<TrainingEvent> events)
    {
        var steps = events.OfType<DiscreteVaeStepCompleted>().Select(step => step.Step).ToArray();
        Assert.Equal(steps.Order(), steps);
        steps = [.. events.OfType<PriorStepCompleted>().Select(step => step.Step)];
        Assert.Equal(steps.Order(), steps);
        steps = [.. events.OfType<RerankerStepCompleted>().Select(step => step.Step)];
        Assert.Equal(steps.Order(), steps);
    }

    /// <summary>Reads up to and with the first that is wanted.</summary>
    public async Task<TrainingEvent> Until(Predicate<TrainingEvent> wanted) =>
        await TryUntil(wanted) ?? throw new InvalidOperationException($"The job came to rest before the awaited event, after {_seen[^1]}.");

    /// <summary>Reads up to and with the first that is wanted; null if the job came to rest before.</summary>
    public async Task<TrainingEvent?> TryUntil(Predicate<TrainingEvent> wanted)
    {
        while (await _events.MoveNextAsync())
        {
            _seen.Add(_events.Current);
            if (wanted(_events.Current))
            {
                return _events.Current;
            }
        }

        return null;
    }

    /// <summary>Reads to the job's end, which is its completion.</summary>
    public async Task<IReadOnlyList<TrainingEvent>> End()
    {
        await TryUntil(_ => false);
        await _events.DisposeAsync();
        Assert.True(_seen[^1] is PhaseChanged { Phase: TrainingPhase.Completed }, $"The job ended with {_seen[^1]}");
        return _seen;
    }
}
