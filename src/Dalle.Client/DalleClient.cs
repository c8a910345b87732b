using System.Net;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Generation;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;

namespace Dalle.Client;

/// <summary>A cluster as a .NET application uses it: submit and watch training jobs, draw pictures, look after models.</summary>
/// <remarks>Thread-safe. Streams that are cut off go on where they stopped.</remarks>
public sealed class DalleClient : IAsyncDisposable
{
    private readonly IGrainFactory _grains;
    private readonly IHost? _host;

    private DalleClient(IGrainFactory grains, IHost? host) => (_grains, _host) = (grains, host);

    /// <summary>Connects to a running silo over its gateway.</summary>
    /// <param name="card">The silo; see <see cref="SiloCard.Read"/>.</param>
    /// <param name="cancellationToken">Gives up connecting.</param>
    public static async Task<DalleClient> Connect(SiloCard card, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(card);
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.ClearProviders();
        builder.UseOrleansClient(client =>
        {
            client.UseStaticClustering(IPEndPoint.Parse(card.Gateway));
            client.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (card.ClusterId, card.ClusterId));
        });
        var host = builder.Build();
        try
        {
            await host.StartAsync(cancellationToken);
            return new(host.Services.GetRequiredService<IGrainFactory>(), host);
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }

    /// <summary>A client inside a silo's own process, over the services of its host, which the caller keeps.</summary>
    public static DalleClient For(IServiceProvider services) => new(services.GetRequiredService<IGrainFactory>(), null);

    /// <summary>Starts a training job and returns its new id.</summary>
    /// <exception cref="Contracts.InvalidRequestException">The spec is not valid; the field is named.</exception>
    public async Task<string> Submit(TrainingSpec spec, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        spec.Validate();
        var id = $"{spec.Model[..Math.Min(spec.Model.Length, 40)]}-{Guid.NewGuid().ToString("N")[..8]}";
        await Job(id).Start(spec, cancellationToken);
        return id;
    }

    /// <summary>All jobs, newest first.</summary>
    public async Task<IReadOnlyList<TrainingStatus>> ListJobs(CancellationToken cancellationToken = default)
    {
        var ids = await _grains.GetGrain<IClusterGrain>(0).ListJobs(cancellationToken);
        return await Task.WhenAll(ids.Select(id => Job(id).GetStatus(cancellationToken)));
    }

    /// <exception cref="Contracts.NotFoundException">No such job was started.</exception>
    public Task<TrainingStatus> GetStatus(string job, CancellationToken cancellationToken = default) => Job(job).GetStatus(cancellationToken);

    /// <summary>A job's events, the kept ones first; ends when the job comes to rest.</summary>
    /// <param name="job">The job's id.</param>
    /// <param name="after">Number of the last event already seen; 0 for all that are kept.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public IAsyncEnumerable<TrainingEvent> Watch(string job, long after = 0, CancellationToken cancellationToken = default) =>
        ResumedStream.Read(last => Job(job).Watch(last, cancellationToken), entry => entry.Sequence, after, cancellationToken);

    /// <summary>Stops a job at the next step boundary, with a checkpoint; returns once that is durable.</summary>
    public Task Pause(string job, CancellationToken cancellationToken = default) => Job(job).Pause(cancellationToken);

    /// <summary>Goes on with a paused or failed job from its last checkpoint.</summary>
    public Task Resume(string job, CancellationToken cancellationToken = default) => Job(job).Resume(cancellationToken);

    /// <summary>Ends a job for good and deletes its working files.</summary>
    public Task Cancel(string job, CancellationToken cancellationToken = default) => Job(job).Cancel(cancellationToken);

    /// <summary>Draws pictures in a session of its own and streams what happens.</summary>
    /// <exception cref="Contracts.InvalidRequestException">The request is not valid; the field is named.</exception>
    /// <exception cref="Contracts.NotFoundException">No such model is published.</exception>
    /// <exception cref="Contracts.OverloadedException">The generators' queue is full.</exception>
    public IAsyncEnumerable<GenerationEvent> Generate(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var session = _grains.GetGrain<IGenerationSessionGrain>(Guid.NewGuid().ToString("N"));
        return ResumedStream.Read(last => session.Generate(request, last, cancellationToken), entry => entry.Sequence, 0, cancellationToken);
    }

    /// <summary>All published models, newest first.</summary>
    public Task<IReadOnlyList<ModelManifest>> ListModels(CancellationToken cancellationToken = default) => Catalog.List(cancellationToken);

    /// <exception cref="Contracts.NotFoundException">No such model is published.</exception>
    public Task<ModelManifest> GetModel(string name, CancellationToken cancellationToken = default) => Catalog.Get(name, cancellationToken);

    /// <summary>Enters a model whose files lie in the artifact store.</summary>
    public Task PublishModel(ModelManifest model, CancellationToken cancellationToken = default) => Catalog.Publish(model, cancellationToken);

    /// <summary>Takes a model out of the catalog.</summary>
    public Task DeleteModel(string name, CancellationToken cancellationToken = default) => Catalog.Delete(name, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.StopAsync();
            _host.Dispose();
        }
    }

    private IModelCatalogGrain Catalog => _grains.GetGrain<IModelCatalogGrain>(0);

    private ITrainingJobGrain Job(string id) => _grains.GetGrain<ITrainingJobGrain>(Contracts.Names.Check(id, "id"));
}
