namespace Dalle.Collectives.Transport;

/// <summary>The one ordered stream between this process and a peer, for one job: what is sent and waited for, over whichever connection there is.</summary>
/// <remarks>Of two peers the one whose name comes first connects, the other waits for it: there is never more than one connection.</remarks>
internal sealed class PeerChannel
{
    private readonly Lock _gate = new();
    private readonly JobTransport _job;
    private readonly TransportOptions _options;
    private volatile ChannelState _state;
    private Connection? _connection;
    private ITimer? _patience;

    public PeerChannel(JobTransport job, string peer, TransportOptions options)
    {
        (_job, Peer, _options) = (job, peer, options);
        (Receives, Sends) = (new ReceiveTable(options.EarlyBytes, job.Epoch), new SendQueue(job.Epoch));
    }

    /// <summary>The peer's name.</summary>
    public string Peer { get; }

    /// <summary>The job's number.</summary>
    public ulong Job => _job.Number;

    public ReceiveTable Receives { get; }

    public SendQueue Sends { get; }

    /// <inheritdoc cref="IMessageTransport.Send"/>
    public Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Connect(to);
        return Sends.Add(key, bytes, cancellationToken);
    }

    /// <inheritdoc cref="IMessageTransport.Receive"/>
    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken)
    {
        Connect(from);
        return Receives.Post(key, bytes, violation => _connection?.Break(PeerLoss.Violation, violation), cancellationToken);
    }

    /// <summary>Fails what is under way of the epoch before.</summary>
    public void BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            Receives.BeginEpoch(epoch);
            Sends.BeginEpoch(epoch);
            if (_state == ChannelState.Lost)
            {
                _state = ChannelState.Idle;
            }
        }
    }

    /// <summary>A fifth of a lease has passed.</summary>
    public void Tick() => _connection?.Tick();

    /// <summary>Says goodbye; ends when nothing is under way any more.</summary>
    public async Task Leave()
    {
        Connection? connection;
        lock (_gate)
        {
            connection = _connection;
            _patience?.Dispose();
        }

        var left = new PeerLostException(Peer, PeerLoss.Closed, new ObjectDisposedException(nameof(JobTransport), "This process has left the job."));
        Receives.Leave(left);
        if (connection is null)
        {
            OnEnded(null, left);
            return;
        }

        // The peer reads up to the goodbye and closes; closing first could destroy what it has not read yet.
        Sends.Leave();
        if (await Task.WhenAny(connection.Ended, Task.Delay(_options.Lease, _options.Time)) != connection.Ended)
        {
            connection.Break(PeerLoss.Closed);
            await connection.Ended;
        }
    }

    /// <summary>What to answer a peer that connects: whether its connection would be taken.</summary>
    public Welcome Consider(int epoch)
    {
        lock (_gate)
        {
            if (epoch != _job.Epoch)
            {
                return Welcome.NotYet;
            }

            // A peer that connects anew has lost the stream it had, even if this side has not noticed.
            _connection?.Break(PeerLoss.Closed, new TransportException("it has connected anew."));
            return _state == ChannelState.Lost ? Welcome.Broken : Welcome.Open;
        }
    }

    /// <summary>Takes a connection whose handshake is done. False if there is no use for it any more.</summary>
    public bool TryAttach(Connection connection)
    {
        lock (_gate)
        {
            if (_state is ChannelState.Lost or ChannelState.Open || _job.HasLeft)
            {
                return false;
            }

            (_state, _connection) = (ChannelState.Open, connection);
            _patience?.Dispose();
            Sends.Use(connection);
            return true;
        }
    }

    /// <summary>The connection, or with null the attempt to get one, has ended.</summary>
    public void OnEnded(Connection? connection, PeerLostException lost)
    {
        lock (_gate)
        {
            if (connection == _connection && _state != ChannelState.Lost)
            {
                (_state, _connection) = (ChannelState.Lost, null);
                Receives.Fail(lost);
                Sends.Fail(lost);
            }
        }

        Receives.Wake();
        if (lost.Loss != PeerLoss.Left)
        {
            _options.Refused?.Invoke(lost);
        }
    }

    public void CountSent(int bytes) => _job.CountSent(bytes);

    public void CountReceived(int bytes) => _job.CountReceived(bytes);

    private void Connect(PeerAddress address)
    {
        if (_state != ChannelState.Idle)
        {
            return;
        }

        lock (_gate)
        {
            if (_state != ChannelState.Idle)
            {
                return;
            }

            _state = ChannelState.Connecting;
            if (string.CompareOrdinal(_options.Name, Peer) < 0)
            {
                new Thread(() => new Dialer(this, _job, _options).Run(address)) { IsBackground = true, Name = $"from {Peer}" }.Start();
            }
            else
            {
                _patience = _options.Time.CreateTimer(
                    _ => OnEnded(null, new PeerLostException(Peer, PeerLoss.Unreachable)), null, _options.ConnectTimeout, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private enum ChannelState
    {
        Idle,
        Connecting,
        Open,
        Lost,
    }
}
