namespace Dalle.Collectives.Transport;

/// <summary>What is to be sent to one peer of one job, first come first served.</summary>
/// <remarks>Thread-safe: callers add, whoever holds the turn writes. Only one thread holds it.</remarks>
internal sealed class SendQueue(int epoch)
{
    private readonly object _gate = new();
    private readonly LinkedList<Transfer<ReadOnlyMemory<byte>>> _waiting = [];
    private Transfer<ReadOnlyMemory<byte>>? _current;
    private Connection? _connection;
    private PeerLostException? _lost;
    private int _epoch = epoch;
    private bool _taken;
    private bool _heartbeat;
    private bool _leaving;

    /// <summary>Bytes that wait to be written or are being written.</summary>
    public long PendingBytes
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Sum(send => (long)send.Length) + (_current?.Length ?? 0);
            }
        }
    }

    /// <summary>Queues a message.</summary>
    public Task Add(MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var send = new Transfer<ReadOnlyMemory<byte>>(key, bytes, bytes.Length);
        Connection? free;
        lock (_gate)
        {
            if (key.Epoch != _epoch)
            {
                throw new TransportException($"Expected a message of epoch {_epoch}, which the job is in, got one of epoch {key.Epoch}.");
            }

            if (_lost is not null)
            {
                return Task.FromException(_lost);
            }

            // A small message on a free connection goes out at once: waking a thread for it would take longer than sending it.
            free = !_taken && _waiting.Count == 0 && _connection is { HasEnded: false } connection && connection.TakesAtOnce(bytes.Length) ? connection : null;
            if (free is not null)
            {
                (_taken, _current, send.Busy) = (true, send, true);
            }
            else
            {
                _waiting.AddLast(send);
                Monitor.PulseAll(_gate);
            }
        }

        if (free is not null)
        {
            free.WriteOrBreak(send);
            EndTurn();
        }
        else
        {
            send.OnCancelled(Cancel, cancellationToken);
        }

        return send.Done;
    }

    /// <summary>From now on messages go out on this connection.</summary>
    public void Use(Connection connection)
    {
        lock (_gate)
        {
            _connection = connection;
        }
    }

    /// <summary>Waits for something to send and takes the turn. False when the connection has ended or everything is sent before leaving.</summary>
    /// <param name="connection">Whose thread asks.</param>
    /// <param name="send">What to send; null for a heartbeat.</param>
    public bool TakeTurn(Connection connection, out Transfer<ReadOnlyMemory<byte>>? send)
    {
        lock (_gate)
        {
            while (!connection.HasEnded)
            {
                if (!_taken && (_waiting.First is not null || _heartbeat))
                {
                    _taken = true;
                    send = _current = Next();
                    _heartbeat = false;
                    return true;
                }

                if (!_taken && _leaving)
                {
                    break;
                }

                Monitor.Wait(_gate);
            }

            send = null;
            return false;
        }
    }

    /// <summary>What was taken is written, or never will be: see <see cref="Connection.Lost"/>.</summary>
    public void EndTurn()
    {
        lock (_gate)
        {
            _taken = false;
            if (_current is { } send)
            {
                _current = null;
                send.Busy = false;
                send.End(_lost);
            }

            if (_waiting.Count > 0 || _heartbeat || _leaving)
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Has a heartbeat sent, unless a message is on its way.</summary>
    public void Heartbeat()
    {
        lock (_gate)
        {
            _heartbeat = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Lets the writing thread end when everything is sent.</summary>
    public void Leave()
    {
        lock (_gate)
        {
            _leaving = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Fails everything that waits, and whatever is added from now on in this epoch.</summary>
    public void Fail(PeerLostException lost)
    {
        lock (_gate)
        {
            (_lost, _connection) = (lost, null);
            EndAll(lost);
        }
    }

    /// <summary>Fails everything of the epoch before; the chunk being written is finished, or the peer would not find the next frame.</summary>
    public void BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            var ended = new TransportException($"Epoch {_epoch} has ended; the job is in epoch {epoch}.");
            (_epoch, _lost) = (epoch, null);
            EndAll(ended);
        }
    }

    private Transfer<ReadOnlyMemory<byte>>? Next()
    {
        if (_waiting.First is not { } first)
        {
            return null;
        }

        _waiting.RemoveFirst();
        first.Value.Busy = true;
        return first.Value;
    }

    private void EndAll(Exception error)
    {
        foreach (var send in _waiting)
        {
            send.End(error);
        }

        _waiting.Clear();
        _current?.End(error);
        Monitor.PulseAll(_gate);
    }

    private void Cancel(Transfer<ReadOnlyMemory<byte>> send, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _waiting.Remove(send);
            send.End(new OperationCanceledException(cancellationToken));
        }
    }
}
