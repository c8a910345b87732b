namespace Dalle.Collectives.Transport;

/// <summary>Messages between members in this process: the receiver's memory is filled straight from the sender's, when both are there.</summary>
internal sealed class LocalChannel(string self, int epoch) : IChannel
{
    /// <summary>Up to here copying takes less time than handing it to another thread.</summary>
    private const int AtOnce = 64 << 10;

    private readonly Lock _gate = new();
    private readonly Dictionary<MessageKey, Queue<Transfer<ReadOnlyMemory<byte>>>> _sends = [];
    private readonly Dictionary<MessageKey, Transfer<Memory<byte>>> _receives = [];
    private int _epoch = epoch;
    private PeerLostException? _left;

    public Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var send = new Transfer<ReadOnlyMemory<byte>>(key, bytes, bytes.Length);
        lock (_gate)
        {
            Check(key);
            if (_receives.Remove(key, out var receive))
            {
                Match(send, receive);
                return send.Done;
            }

            if (!_sends.TryGetValue(key, out var waiting))
            {
                _sends.Add(key, waiting = []);
            }

            waiting.Enqueue(send);
        }

        send.OnCancelled(Cancel, cancellationToken);
        return send.Done;
    }

    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken)
    {
        var receive = new Transfer<Memory<byte>>(key, bytes, bytes.Length);
        lock (_gate)
        {
            Check(key);
            if (TryTakeSend(key) is { } send)
            {
                Match(send, receive);
                return receive.Done;
            }

            if (!_receives.TryAdd(key, receive))
            {
                throw new InvalidOperationException($"The message of {key} is already waited for.");
            }
        }

        receive.OnCancelled(Cancel, cancellationToken);
        return receive.Done;
    }

    public void BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            EndAll(new TransportException($"Epoch {_epoch} has ended; the job is in epoch {epoch}."));
            _epoch = epoch;
        }
    }

    public void Tick()
    {
    }

    public Task Leave()
    {
        lock (_gate)
        {
            _left = new PeerLostException(self, PeerLoss.Left);
            EndAll(_left);
        }

        return Task.CompletedTask;
    }

    private Transfer<ReadOnlyMemory<byte>>? TryTakeSend(MessageKey key)
    {
        if (!_sends.TryGetValue(key, out var waiting))
        {
            return null;
        }

        var send = waiting.Dequeue();
        if (waiting.Count == 0)
        {
            _sends.Remove(key);
        }

        return send;
    }

    private void Match(Transfer<ReadOnlyMemory<byte>> send, Transfer<Memory<byte>> receive)
    {
        if (send.Length != receive.Length)
        {
            var error = new TransportException($"Expected a message of {receive.Length} bytes for {receive.Key}, got one of {send.Length} bytes.");
            send.End(error);
            receive.End(error);
            return;
        }

        (send.Busy, receive.Busy) = (true, true);
        if (send.Length <= AtOnce)
        {
            Copy(send, receive);
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(_ => Copy(send, receive), null);
        }
    }

    private void Copy(Transfer<ReadOnlyMemory<byte>> send, Transfer<Memory<byte>> receive)
    {
        send.Bytes.CopyTo(receive.Bytes);
        lock (_gate)
        {
            (send.Busy, receive.Busy) = (false, false);
            send.End();
            receive.End();
        }
    }

    private void EndAll(Exception error)
    {
        foreach (var send in _sends.Values.SelectMany(waiting => waiting))
        {
            send.End(error);
        }

        foreach (var receive in _receives.Values)
        {
            receive.End(error);
        }

        _sends.Clear();
        _receives.Clear();
    }

    // A message that is being copied ends well.
    private void Cancel(Transfer<ReadOnlyMemory<byte>> send, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!send.Ended && !send.Busy && _sends.TryGetValue(send.Key, out var waiting))
            {
                var others = waiting.Where(other => other != send).ToArray();
                _sends.Remove(send.Key);
                if (others.Length > 0)
                {
                    _sends.Add(send.Key, new(others));
                }

                send.End(new OperationCanceledException(cancellationToken));
            }
        }
    }

    private void Cancel(Transfer<Memory<byte>> receive, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!receive.Ended && !receive.Busy)
            {
                _receives.Remove(receive.Key);
                receive.End(new OperationCanceledException(cancellationToken));
            }
        }
    }

    private void Check(MessageKey key)
    {
        if (_left is not null)
        {
            throw _left;
        }

        if (key.Epoch != _epoch)
        {
            throw new TransportException($"Expected a message of epoch {_epoch}, which the job is in, got one of epoch {key.Epoch}.");
        }
    }
}
