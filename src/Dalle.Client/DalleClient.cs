using Dalle.Contracts.Generation;
using Microsoft.Extensions.Hosting;

namespace Dalle.Client;

/// <summary>What an application asks of a Dalle cluster: train, look after models, draw pictures. Every wait has a deadline, every stream goes on after a cut.</summary>
/// <remarks>Thread-safe; one for the application's life.</remarks>
public sealed class DalleClient : IAsyncDisposable
{
    private readonly IHost? _connection;

    /// <summary>A client over a connection that is already there: a cluster client's, or a silo's own.</summary>
    /// <param name="grains">Gives the grains.</param>
    /// <param name="options">Deadlines; null for the defaults.</param>
    /// <param name="clock">The time; null for the system's.</param>
    public DalleClient(IGrainFactory grains, DalleClientOptions? options = null, TimeProvider? clock = null)
        : this(grains, options, clock, null)
    {
    }

    private DalleClient(IGrainFactory grains, DalleClientOptions? options, TimeProvider? clock, IHost? connection)
    {
        ArgumentNullException.ThrowIfNull(grains);
        var calls = new ClusterCalls(options ?? new(), clock ?? TimeProvider.System);
        _connection = connection;
        Jobs = new JobsClient(grains, calls);
        Models = new ModelsClient(grains, calls);
        Sessions = new SessionsClient(grains, calls);
    }

    /// <summary>Training jobs.</summary>
    public JobsClient Jobs { get; }

    /// <summary>Published models.</summary>
    public ModelsClient Models { get; }

    /// <summary>Generation sessions, for callers that name theirs; <see cref="Generate"/> does all that most need.</summary>
    public SessionsClient Sessions { get; }

    /// <summary>Connects to a running silo.</summary>
    /// <param name="silo">The silo's gateway as <c>address:port</c>, or its data folder.</param>
    /// <param name="options">Deadlines and cluster; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">No silo answers there.</exception>
    public static async Task<DalleClient> ConnectAsync(string silo, DalleClientOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new();
        var connection = await SiloConnection.OpenAsync(silo, options, cancellationToken);
        return new DalleClient(SiloConnection.Grains(connection), options, null, connection);
    }

    /// <summary>Draws pictures and streams what happens, from the first row to the last picture, over cuts and lost silos.</summary>
    /// <param name="request">What to draw.</param>
    /// <param name="cancellationToken">Stops drawing.</param>
    /// <exception cref="Contracts.InvalidRequestException">The request is not valid; the field is named.</exception>
    /// <exception cref="Contracts.NotFoundException">No such model is published.</exception>
    /// <exception cref="Contracts.OverloadedException">The queue is full; says when to try again.</exception>
    public IAsyncEnumerable<GenerationEvent> Generate(GenerationRequest request, CancellationToken cancellationToken = default) =>
        Sessions.Generate(SessionsClient.NewId(), request, 0, cancellationToken);

    /// <summary>Closes the connection, if this client opened it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.StopAsync();
            _connection.Dispose();
        }
    }
}
