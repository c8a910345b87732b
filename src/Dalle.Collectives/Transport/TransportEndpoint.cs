using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>This process's end of the data plane: listens for peers, and opens jobs. One per process.</summary>
/// <remarks>Thread-safe.</remarks>
public sealed class TransportEndpoint : IAsyncDisposable
{
    /// <summary>A tick is this part of the lease.</summary>
    private const int TicksPerLease = 5;

    private readonly TransportOptions _options;
    private readonly ConcurrentDictionary<ulong, JobTransport> _jobs = new();
    private readonly List<Listener> _listeners = [];
    private readonly ITimer _ticks;

    /// <summary>Listens at once.</summary>
    /// <exception cref="ArgumentException">The options do not fit together.</exception>
    /// <exception cref="SocketException">The address cannot be listened on.</exception>
    public TransportEndpoint(TransportOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
        var tcp = new Listener(new IPEndPoint(options.BindAddress, options.Port), options, Serve);
        _listeners.Add(tcp);
        var path = options.UnixSockets && Socket.OSSupportsUnixDomainSockets && !OperatingSystem.IsWindows() ? Listener.NewSocketPath() : null;
        if (path is not null)
        {
            _listeners.Add(new Listener(new UnixDomainSocketEndPoint(path), options, Serve));
        }

        var advertised = new IPEndPoint(options.AdvertisedAddress ?? options.BindAddress, options.AdvertisedPort ?? ((IPEndPoint)tcp.Address).Port);
        Address = new PeerAddress(options.Name, advertised, Sockets.Machine, path);
        var tick = options.Lease / TicksPerLease;
        _ticks = options.Time.CreateTimer(_ => Tick(), null, tick, tick);
    }

    /// <summary>Where others reach this process.</summary>
    public PeerAddress Address { get; }

    /// <summary>Opens a job: from now on peers may connect for it.</summary>
    /// <param name="job">The job's id, the same for all its peers.</param>
    /// <param name="epoch">The membership epoch it is in.</param>
    /// <exception cref="InvalidOperationException">It is already open.</exception>
    public JobTransport Open(string job, int epoch)
    {
        ArgumentException.ThrowIfNullOrEmpty(job);
        var transport = new JobTransport(this, _options, job, epoch);
        return _jobs.TryAdd(transport.Number, transport) ? transport : throw new InvalidOperationException($"Job '{job}' is already open in this process.");
    }

    /// <summary>Leaves all jobs and listens no more.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }

        await Task.WhenAll(_jobs.Values.Select(job => job.DisposeAsync().AsTask()));
        await _ticks.DisposeAsync();
    }

    internal void Forget(JobTransport job) => _jobs.TryRemove(new(job.Number, job));

    private void Tick()
    {
        foreach (var (_, job) in _jobs)
        {
            job.Tick();
        }
    }

    // Runs on a thread of the listener, which ends with the connection.
    private void Serve(Socket socket, Stream stream, IDisposable limit)
    {
        PeerChannel? channel = null;
        var (peer, welcome) = Handshake.Accept(
            stream, _options.Secret,
            hello => new Hello(hello.Job, 0, _options.ChunkBytes, _options.Name),
            hello =>
            {
                if (!_jobs.TryGetValue(hello.Job, out var job) || job.HasLeft)
                {
                    return Welcome.NotYet;
                }

                channel = job.Peer(hello.Name);
                return channel.Consider(hello.Epoch);
            });
        limit.Dispose();
        if (welcome != Welcome.Open)
        {
            return;
        }

        using var connection = new Connection(channel!, socket, stream, Math.Min(_options.ChunkBytes, peer.ChunkBytes));
        if (channel!.TryAttach(connection))
        {
            connection.Run();
        }
    }
}
