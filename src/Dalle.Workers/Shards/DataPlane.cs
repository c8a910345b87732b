using System.Net;
using System.Security.Cryptography.X509Certificates;
using Dalle.Collectives.Transport;
using Dalle.Contracts.Training;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Dalle.Workers.Shards;

/// <summary>How this silo exchanges tensors with others. Not for appsettings: the host takes it from the cluster's own settings.</summary>
public sealed class DataPlaneOptions
{
    /// <summary>The address listened on. Default: loopback. Any other needs <see cref="Secret"/> and <see cref="Certificate"/>.</summary>
    public IPAddress Address { get; set; } = IPAddress.Loopback;

    /// <summary>The address other silos are told. Default: <see cref="Address"/>.</summary>
    public IPAddress? AdvertisedAddress { get; set; }

    /// <summary>The port listened on; 0 for a free one. Default: 0.</summary>
    public int Port { get; set; }

    /// <summary>The port other silos are told, also those of this machine, which then use no Unix-domain socket. Default: the port listened on.</summary>
    public int? AdvertisedPort { get; set; }

    /// <summary>What all silos of the cluster know, at least 16 characters. Default: none, on loopback only.</summary>
    public string? Secret { get; set; }

    /// <summary>The cluster's certificate, with its private key. Default: none, on loopback only.</summary>
    public X509Certificate2? Certificate { get; set; }

    /// <summary>A silo of which nothing was heard for so long is lost to the epoch. Default: 1 second.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(1);
}

/// <summary>This silo's end of the data plane. It listens from the first job on.</summary>
internal sealed partial class DataPlane(IOptions<DataPlaneOptions> options, ILocalSiloDetails silo, TimeProvider clock, ILogger<DataPlane> logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private TransportEndpoint? _endpoint;
    private bool _closed;

    /// <summary>This silo's name among its peers.</summary>
    public string Name { get; } = silo.SiloAddress.ToParsableString();

    /// <summary>Where others reach it.</summary>
    public DataPlaneAddress Address
    {
        get
        {
            var address = Endpoint.Address;
            return new(address.Name, address.EndPoint.ToString(), address.Machine, address.SocketPath);
        }
    }

    private TransportEndpoint Endpoint
    {
        get
        {
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_closed, this);
                return _endpoint ??= new(new()
                {
                    Name = Name,
                    BindAddress = options.Value.Address,
                    AdvertisedAddress = options.Value.AdvertisedAddress,
                    Port = options.Value.Port,
                    AdvertisedPort = options.Value.AdvertisedPort,
                    UnixSockets = options.Value.AdvertisedPort is null,
                    Secret = options.Value.Secret,
                    Certificate = options.Value.Certificate,
                    Lease = options.Value.Lease,
                    Time = clock,
                    Refused = refused => LogRefused(logger, refused.Message),
                });
            }
        }
    }

    /// <summary>Where a peer is reached.</summary>
    public static PeerAddress PeerOf(DataPlaneAddress address) => new(address.Name, IPEndPoint.Parse(address.EndPoint), address.Machine, address.SocketPath);

    /// <summary>Opens a job: from now on peers may connect for it.</summary>
    public JobTransport Open(string job, int epoch) => Endpoint.Open(job, epoch);

    public async ValueTask DisposeAsync()
    {
        TransportEndpoint? endpoint;
        lock (_gate)
        {
            (_closed, endpoint) = (true, _endpoint);
        }

        await (endpoint?.DisposeAsync() ?? ValueTask.CompletedTask);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Data plane: {Reason}")]
    private static partial void LogRefused(ILogger logger, string reason);
}
