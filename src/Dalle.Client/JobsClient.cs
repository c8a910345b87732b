using Dalle.Contracts.Training;

namespace Dalle.Client;

/// <summary>Training jobs, as an application sees them.</summary>
public sealed class JobsClient
{
    private readonly IGrainFactory _grains;
    private readonly ClusterCalls _calls;

    internal JobsClient(IGrainFactory grains, ClusterCalls calls) => (_grains, _calls) = (grains, calls);

    /// <summary>Starts a job. Repeating the call with the same id and spec is a no-op.</summary>
    /// <param name="spec">What to train.</param>
    /// <param name="id">The job's id; null for a new one.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The job's id.</returns>
    /// <exception cref="Contracts.InvalidRequestException">The spec is not valid, or the id is taken by another spec.</exception>
    public async Task<string> Submit(TrainingSpec spec, string? id = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        id ??= $"{spec.Model[..Math.Min(spec.Model.Length, 40)]}-{Guid.NewGuid():N}"[..^20];
        await _calls.Ask("Submitting a job", token => Job(id).Start(spec, token), cancellationToken);
        return id;
    }

    /// <exception cref="Contracts.NotFoundException">No such job was started.</exception>
    public Task<TrainingStatus> Get(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Job '{id}'", token => Job(id).GetStatus(token), cancellationToken);

    /// <summary>All jobs, newest first.</summary>
    public async Task<IReadOnlyList<TrainingStatus>> List(CancellationToken cancellationToken = default)
    {
        var ids = await _calls.Ask("Listing jobs", token => _grains.GetGrain<IClusterGrain>(0).ListJobs(token), cancellationToken);
        var found = await Task.WhenAll(ids.Select(id => TryGet(id, cancellationToken)));
        return [.. found.OfType<TrainingStatus>()];
    }

    /// <summary>Events as they come, over cuts; ends when the job completes, fails, pauses or is cancelled.</summary>
    /// <param name="id">The job.</param>
    /// <param name="after">Sequence number of the last event already seen; 0 for all that are still kept.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public IAsyncEnumerable<TrainingEvent> Watch(string id, long after = 0, CancellationToken cancellationToken = default) =>
        _calls.Follow($"Watching job '{id}'", token => Job(id).GetStatus(token), (last, token) => Job(id).Watch(last, token), item => item.Sequence, after, cancellationToken);

    /// <summary>Stops at the next step boundary, with a checkpoint; returns once that is durable.</summary>
    public Task Pause(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Pausing job '{id}'", token => Job(id).Pause(token), cancellationToken, _calls.Options.StopTimeout);

    /// <summary>Goes on with a paused or failed job from its last checkpoint.</summary>
    public Task Resume(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Resuming job '{id}'", token => Job(id).Resume(token), cancellationToken);

    /// <summary>Ends the job for good.</summary>
    public Task Cancel(string id, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Cancelling job '{id}'", token => Job(id).Cancel(token), cancellationToken, _calls.Options.StopTimeout);

    private ITrainingJobGrain Job(string id) => _grains.GetGrain<ITrainingJobGrain>(Contracts.Names.Check(id, "id"));

    /// <summary>A job is listed a moment before it is started.</summary>
    private async Task<TrainingStatus?> TryGet(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await Get(id, cancellationToken);
        }
        catch (Contracts.NotFoundException)
        {
            return null;
        }
    }
}
