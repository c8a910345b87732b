using System.Runtime.CompilerServices;
using Dalle.Contracts;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Keys;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Dalle.Client;

/// <summary>A cluster as a .NET application uses it: submit and watch training jobs, draw pictures, look after models and API keys.</summary>
/// <remarks>Thread-safe; one for the application's life. Every wait has a deadline; streams that are cut off go on where they stopped.</remarks>
public sealed class DalleClient : IAsyncDisposable
{
    private static readonly TimeSpan CourtesyTimeout = TimeSpan.FromSeconds(5);

    private readonly IGrainFactory _grains;
    private readonly ClusterCalls _calls;
    private readonly IHost? _connection;

    /// <summary>A client over a connection that is already there: a cluster client's, or a silo's own, which the caller keeps.</summary>
    /// <param name="grains">Gives the grains.</param>
    /// <param name="options">Deadlines; null for the defaults.</param>
    /// <param name="clock">The time; null for the system's.</param>
    public DalleClient(IGrainFactory grains, DalleClientOptions? options = null, TimeProvider? clock = null)
        : this(grains, options ?? new(), clock ?? TimeProvider.System, null)
    {
    }

    private DalleClient(IGrainFactory grains, DalleClientOptions options, TimeProvider clock, IHost? connection) =>
        (_grains, _calls, _connection) = (grains, new ClusterCalls(options, clock), connection);

    /// <summary>Connects to a running silo over its gateway.</summary>
    /// <param name="silo">The silo; see <see cref="SiloCard.Read"/>.</param>
    /// <param name="options">Deadlines; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up connecting.</param>
    /// <exception cref="IOException">No silo answers there.</exception>
    public static async Task<DalleClient> Connect(SiloCard silo, DalleClientOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(silo);
        options ??= new();
        var connection = await SiloConnection.Open(silo, options, cancellationToken);
        return new(connection.Services.GetRequiredService<IGrainFactory>(), options, TimeProvider.System, connection);
    }

    /// <summary>Connects to the silo that serves a data folder.</summary>
    /// <exception cref="IOException">None does, or it does not answer.</exception>
    public static Task<DalleClient> Connect(string dataFolder, DalleClientOptions? options = null, CancellationToken cancellationToken = default) =>
        SiloCard.Read(dataFolder) is { } silo
            ? Connect(silo, options, cancellationToken)
            : throw new IOException($"No silo serves '{Path.GetFullPath(dataFolder)}': there is no {SiloCard.FileName} in it. Start one with 'dalle silo'.");

    /// <summary>A client inside a silo's own process, over the services of its host, which the caller keeps.</summary>
    public static DalleClient For(IServiceProvider services) => new(services.GetRequiredService<IGrainFactory>());

    /// <summary>Starts a training job. Repeating the call with the same id and spec is a no-op.</summary>
    /// <param name="spec">What to train.</param>
    /// <param name="id">The job's id; null for a new one.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The job's id.</returns>
    /// <exception cref="InvalidRequestException">The spec is not valid, or the id is taken by another spec; the field is named.</exception>
    public async Task<string> Submit(TrainingSpec spec, string? id = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        spec.Validate();
        id ??= $"{spec.Model[..Math.Min(spec.Model.Length, 40)]}-{Guid.NewGuid().ToString("N")[..8]}";
        await _calls.Ask("Submitting a job", token => Job(id).Start(spec, token), cancellationToken);
        return id;
    }

    /// <inheritdoc cref="Submit(TrainingSpec, string?, CancellationToken)"/>
    public Task<string> Submit(TrainingSpec spec, CancellationToken cancellationToken) => Submit(spec, null, cancellationToken);

    /// <summary>The active silos of the cluster, their devices and what runs on them.</summary>
    public Task<IReadOnlyList<SiloReport>> ListSilos(CancellationToken cancellationToken = default) =>
        _calls.Ask("Listing silos", token => _grains.GetGrain<IClusterGrain>(0).ListSilos(token), cancellationToken);

    /// <summary>All jobs, newest first.</summary>
    public async Task<IReadOnlyList<TrainingStatus>> ListJobs(CancellationToken cancellationToken = default)
    {
        var ids = await _calls.Ask("Listing jobs", token => _grains.GetGrain<IClusterGrain>(0).ListJobs(token), cancellationToken);
        var jobs = await Task.WhenAll(ids.Select(id => TryGetStatus(id, cancellationToken)));
        return [.. jobs.OfType<TrainingStatus>()];
    }

    /// <exception cref="NotFoundException">No such job was started.</exception>
    public Task<TrainingStatus> GetStatus(string job, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Job '{job}'", token => Job(job).GetStatus(token), cancellationToken);

    /// <summary>A job's events, the kept ones first; ends when the job comes to rest.</summary>
    /// <param name="job">The job's id.</param>
    /// <param name="after">Number of the last event already seen; 0 for all that are kept.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public IAsyncEnumerable<TrainingEvent> Watch(string job, long after = 0, CancellationToken cancellationToken = default) => _calls.Follow(
        $"Watching job '{job}'", token => Job(job).GetStatus(token), (last, token) => Job(job).Watch(last, token), item => item.Sequence, after, _calls.Options.StreamSilence,
        cancellationToken);

    /// <summary>Stops a job at the next step boundary, with a checkpoint; returns once that is durable.</summary>
    public Task Pause(string job, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Pausing job '{job}'", token => Job(job).Pause(token), cancellationToken, _calls.Options.StopTimeout);

    /// <summary>Goes on with a paused or failed job from its last checkpoint.</summary>
    /// <param name="job">The job's id.</param>
    /// <param name="workers">How many workers there are from now on; null for as many as before.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task Resume(string job, WorkerCounts? workers = null, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Resuming job '{job}'", token => Job(job).Resume(workers, token), cancellationToken);

    /// <summary>Ends a job for good and deletes its working files.</summary>
    public Task Cancel(string job, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Cancelling job '{job}'", token => Job(job).Cancel(token), cancellationToken, _calls.Options.StopTimeout);

    /// <summary>Draws pictures in a session of its own and streams what happens, to the last picture. A reader that leaves early ends the session.</summary>
    /// <exception cref="InvalidRequestException">The request is not valid; the field is named.</exception>
    /// <exception cref="NotFoundException">No such model is published.</exception>
    /// <exception cref="OverloadedException">The generators' queue is full.</exception>
    /// <exception cref="GenerationFailedException">The pictures cannot be drawn.</exception>
    public IAsyncEnumerable<GenerationEvent> Generate(GenerationRequest request, CancellationToken cancellationToken = default) =>
        Generate(Guid.NewGuid().ToString("N"), request, 0, cancellationToken);

    /// <summary>As <see cref="Generate(GenerationRequest, CancellationToken)"/>, in a session that the caller names and can come back to.</summary>
    /// <param name="session">The session's id, which no one else should be able to guess.</param>
    /// <param name="request">What to draw; for a session that has begun, the same again.</param>
    /// <param name="after">Number of the last event already seen; 0 for all.</param>
    /// <param name="cancellationToken">Stops drawing.</param>
    public async IAsyncEnumerable<GenerationEvent> Generate(
        string session, GenerationRequest request, long after, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.Validate();
        var events = _calls.Follow(
            $"Session '{session}'", token => Reach(session, token), (last, token) => Session(session).Generate(request, last, token),
            item => item.Sequence, after, _calls.Options.SessionSilence, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var over = false;
        try
        {
            while (await Next())
            {
                over = events.Current is GenerationCompleted;
                yield return events.Current;
            }
        }
        finally
        {
            await events.DisposeAsync();
            if (!over)
            {
                await TryCancelSession(session);
            }
        }

        // A session that has come to its end, well or not, need not be cancelled.
        async Task<bool> Next()
        {
            try
            {
                var moved = await events.MoveNextAsync();
                over = !moved;
                return moved;
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                over = true;
                throw;
            }
        }
    }

    /// <summary>All published models, newest first.</summary>
    public Task<IReadOnlyList<ModelManifest>> ListModels(CancellationToken cancellationToken = default) =>
        _calls.Ask("Listing models", token => Catalog.List(token), cancellationToken);

    /// <exception cref="NotFoundException">No such model is published.</exception>
    public Task<ModelManifest> GetModel(string name, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Model '{name}'", token => Catalog.Get(name, token), cancellationToken);

    /// <summary>Enters a model whose files lie in the artifact store, in place of an older one of the same name.</summary>
    public Task PublishModel(ModelManifest model, CancellationToken cancellationToken = default) =>
        _calls.Ask("Publishing a model", token => Catalog.Publish(model, token), cancellationToken);

    /// <summary>Takes a model out of the catalog; its files stay.</summary>
    /// <exception cref="NotFoundException">No such model is published.</exception>
    public Task DeleteModel(string name, CancellationToken cancellationToken = default) =>
        _calls.Ask($"Deleting model '{name}'", token => Catalog.Delete(name, token), cancellationToken);

    /// <summary>Makes an API key. Its text is made here; the cluster gets a hash of it.</summary>
    /// <returns>The key, and its text, which cannot be had again.</returns>
    /// <exception cref="InvalidRequestException">The spec is not valid; the field is named.</exception>
    public async Task<(ApiKey Key, string Text)> CreateKey(ApiKeySpec spec, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        spec.Validate();
        var text = ApiKeySecret.New();
        var key = new ApiKey(ApiKeySecret.IdOf(text)!, spec, _calls.Clock.GetUtcNow());
        await _calls.Ask("Making a key", token => Keys.Create(new(key, ApiKeySecret.Hash(text)), token), cancellationToken);
        return (key, text);
    }

    /// <summary>All API keys, oldest first.</summary>
    public async Task<IReadOnlyList<ApiKey>> ListKeys(CancellationToken cancellationToken = default) =>
        [.. (await _calls.Ask("Listing keys", token => Keys.Read(0, token), cancellationToken)).Keys.Select(key => key.Key)];

    /// <summary>Takes an API key away for good. Silos hear of it at once, one that is cut off within seconds of its return.</summary>
    /// <exception cref="NotFoundException">There is no such key.</exception>
    public Task RevokeKey(string id, CancellationToken cancellationToken = default) => _calls.Ask($"Revoking key '{id}'", token => Keys.Revoke(id, token), cancellationToken);

    /// <summary>Closes the connection, if this client opened it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            // Taking leave of a silo that is gone would take half a minute.
            using var patience = new CancellationTokenSource(CourtesyTimeout);
            try
            {
                await _connection.StopAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                // There was no one to take leave of.
            }
            finally
            {
                _connection.Dispose();
            }
        }
    }

    private IModelCatalogGrain Catalog => _grains.GetGrain<IModelCatalogGrain>(0);

    private IApiKeysGrain Keys => _grains.GetGrain<IApiKeysGrain>(0);

    private ITrainingJobGrain Job(string id) => _grains.GetGrain<ITrainingJobGrain>(Names.Check(id, "id"));

    private IGenerationSessionGrain Session(string id) => _grains.GetGrain<IGenerationSessionGrain>(Names.Check(id, "session"));

    /// <summary>A job is listed a moment before it is started.</summary>
    private async Task<TrainingStatus?> TryGetStatus(string job, CancellationToken cancellationToken)
    {
        try
        {
            return await GetStatus(job, cancellationToken);
        }
        catch (NotFoundException)
        {
            return null;
        }
    }

    /// <summary>Waits for a session's answer. One without rows is kept nowhere yet: if its silo is gone it is not known any more, and begins anew when it is asked for again.</summary>
    private async Task Reach(string session, CancellationToken cancellationToken)
    {
        try
        {
            await Session(session).GetStatus(cancellationToken);
        }
        catch (NotFoundException)
        {
            // Its place answered, which is what was asked.
        }
    }

    /// <summary>A courtesy: a session that no one reads ends by itself a little later.</summary>
    private async Task TryCancelSession(string session)
    {
        try
        {
            await _calls.Ask("Cancelling", token => Session(session).Cancel(token), CancellationToken.None, CourtesyTimeout);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // What ended the stream is what the caller must hear of.
        }
    }
}
