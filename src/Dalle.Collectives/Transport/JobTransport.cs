using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Text;

namespace Dalle.Collectives.Transport;

/// <summary>The messages of one job between this process and its peers.</summary>
/// <remarks>Thread-safe. Made by <see cref="TransportEndpoint.Open"/>.</remarks>
public sealed class JobTransport : IMessageTransport, IAsyncDisposable
{
    private readonly TransportEndpoint _endpoint;
    private readonly TransportOptions _options;
    private readonly ConcurrentDictionary<string, PeerChannel> _peers = new();
    private readonly CancellationTokenSource _left = new();
    private readonly Lock _gate = new();
    private long _sentBytes;
    private long _receivedBytes;
    private int _epoch;

    internal JobTransport(TransportEndpoint endpoint, TransportOptions options, string job, int epoch) =>
        (_endpoint, _options, Job, Number, _epoch) = (endpoint, options, job, NumberOf(job), epoch);

    /// <summary>The job's id.</summary>
    public string Job { get; }

    /// <inheritdoc/>
    public string Self => _options.Name;

    /// <summary>The membership epoch that messages belong to now.</summary>
    public int Epoch => Volatile.Read(ref _epoch);

    /// <summary>Bytes written to sockets since the job was opened: payloads, their headers and heartbeats.</summary>
    public long SentBytes => Interlocked.Read(ref _sentBytes);

    /// <summary>Bytes read from sockets since the job was opened: payloads, their headers and heartbeats.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _receivedBytes);

    /// <summary>Bytes of messages to others that are not written to sockets yet.</summary>
    public long PendingBytes => _peers.Values.Sum(peer => peer.Sends.PendingBytes);

    /// <summary>The number that stands for the job on the wire.</summary>
    internal ulong Number { get; }

    /// <summary>Cancelled when this process leaves the job.</summary>
    internal CancellationToken Left => _left.Token;

    internal bool HasLeft => _left.IsCancellationRequested;

    /// <inheritdoc/>
    public Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        cancellationToken.ThrowIfCancellationRequested();
        return bytes.IsEmpty ? Task.CompletedTask : Peer(to.Name).Send(to, key, bytes, cancellationToken);
    }

    /// <inheritdoc/>
    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(from);
        cancellationToken.ThrowIfCancellationRequested();
        return bytes.IsEmpty ? Task.CompletedTask : Peer(from.Name).Receive(from, key, bytes, cancellationToken);
    }

    /// <summary>Goes on to a later epoch: what is under way fails, frames of earlier epochs are dropped from now on, and lost peers may connect again.</summary>
    /// <param name="epoch">Greater than <see cref="Epoch"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public void BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(epoch, _epoch);
            Volatile.Write(ref _epoch, epoch);
            foreach (var (_, channel) in _peers)
            {
                channel.BeginEpoch(epoch);
            }
        }
    }

    /// <summary>Leaves the job: what is under way fails, peers are told and their connections closed.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (HasLeft)
            {
                return;
            }

            _left.Cancel();
        }

        await Task.WhenAll(_peers.Values.Select(channel => channel.Leave()));
        _endpoint.Forget(this);
    }

    internal static ulong NumberOf(string job) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(job));

    /// <exception cref="ArgumentException">It is this process itself.</exception>
    internal PeerChannel Peer(string name)
    {
        if (name == Self)
        {
            throw new ArgumentException($"Expected a peer other than this process itself, got '{name}'.", nameof(name));
        }

        if (_peers.TryGetValue(name, out var known))
        {
            return known;
        }

        // No channel is born between two epochs, and none after the goodbye.
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(HasLeft, this);
            return _peers.GetOrAdd(name, name => new PeerChannel(this, name, _options));
        }
    }

    internal void Tick()
    {
        foreach (var (_, channel) in _peers)
        {
            channel.Tick();
        }
    }

    internal void CountSent(int bytes) => Interlocked.Add(ref _sentBytes, bytes);

    internal void CountReceived(int bytes) => Interlocked.Add(ref _receivedBytes, bytes);
}
