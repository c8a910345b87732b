namespace Dalle.Collectives.Transport;

/// <summary>The messages one peer of one job sends here: those waited for, and the first bytes of those nobody waits for yet.</summary>
/// <remarks>Thread-safe: callers post, the connection's reading thread lands frames.</remarks>
internal sealed class ReceiveTable(long earlyLimit, int epoch)
{
    private readonly object _gate = new();
    private readonly Dictionary<MessageKey, Transfer<Memory<byte>>> _posted = [];
    private readonly EarlyFrames _early = new(earlyLimit);
    private int _epoch = epoch;
    private PeerLostException? _lost;
    private bool _leaving;

    /// <summary>Whether the reader waits for somebody to take what has arrived: then a silent peer proves nothing.</summary>
    public bool Paused { get; private set; }

    /// <summary>Bytes kept for messages that nobody waits for yet, and what keeping them costs.</summary>
    public long EarlyBytes
    {
        get
        {
            lock (_gate)
            {
                return _early.Bytes;
            }
        }
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="key">Which.</param>
    /// <param name="bytes">Where it goes; its length is the message's.</param>
    /// <param name="violated">Called if what has arrived before is not this message.</param>
    /// <param name="cancellationToken">Gives the message up: the rest of it is dropped when it comes.</param>
    public Task Post(MessageKey key, Memory<byte> bytes, Action<TransportException> violated, CancellationToken cancellationToken)
    {
        var receive = new Transfer<Memory<byte>>(key, bytes, bytes.Length);
        try
        {
            lock (_gate)
            {
                CheckEpoch(key);
                if (_posted.ContainsKey(key))
                {
                    throw new InvalidOperationException($"The message of {key} is already waited for, or was given up.");
                }

                TakeEarly(receive);
                if (receive.Ended)
                {
                    return receive.Done;
                }

                if (_lost is not null)
                {
                    return Task.FromException(_lost);
                }

                _posted.Add(key, receive);
                Monitor.PulseAll(_gate);
            }
        }
        catch (TransportException violation) when (receive.Busy)
        {
            receive.Busy = false;
            violated(violation);
            return Task.FromException(violation);
        }

        receive.OnCancelled(Cancel, cancellationToken);
        return receive.Done;
    }

    /// <summary>Decides where a frame's payload goes. Waits while there is no place for it, which is what holds back a peer that is too fast.</summary>
    /// <exception cref="TransportException">It is not the frame that is expected.</exception>
    public Landing Begin(in FrameHeader header, int chunk, Connection connection)
    {
        lock (_gate)
        {
            while (!connection.HasEnded && !_leaving && header.Key.Epoch >= _epoch)
            {
                if (header.Key.Epoch == _epoch && TryPlace(header, chunk) is { } landing)
                {
                    return landing;
                }

                Paused = true;
                Monitor.Wait(_gate);
                Paused = false;
            }

            return new Landing(header, chunk);
        }
    }

    /// <summary>The payload has been read, and its checksum was right.</summary>
    public void End(in Landing landing)
    {
        lock (_gate)
        {
            if (landing.Receive is { } receive)
            {
                receive.Busy = false;
                Advance(receive, landing.Header.Length);
                receive.Release();
            }
            else if (landing.Pooled is not null && !_leaving && landing.Header.Key.Epoch == _epoch)
            {
                Keep(landing);
            }
            else
            {
                _early.Free(landing);
            }
        }
    }

    /// <summary>The payload could not be read.</summary>
    public void Fail(in Landing landing, PeerLostException lost)
    {
        lock (_gate)
        {
            _early.Free(landing);
            if (landing.Receive is { } receive)
            {
                receive.Busy = false;
                receive.End(lost);
            }
        }
    }

    /// <summary>Fails everything that is waited for, and whatever is waited for from now on in this epoch.</summary>
    public void Fail(PeerLostException lost)
    {
        lock (_gate)
        {
            _lost = lost;
            EndAll(lost);
        }
    }

    /// <summary>Ends the epoch: what is waited for fails, what is kept is dropped, and frames of it are dropped from now on.</summary>
    public void BeginEpoch(int epoch)
    {
        lock (_gate)
        {
            var ended = new TransportException($"Epoch {_epoch} has ended; the job is in epoch {epoch}.");
            (_epoch, _lost) = (epoch, null);
            EndAll(ended);
            _early.Clear();
        }
    }

    /// <summary>Fails everything that is waited for; all that still comes is read and dropped.</summary>
    public void Leave(PeerLostException left)
    {
        lock (_gate)
        {
            (_lost, _leaving) = (left, true);
            EndAll(left);
            _early.Clear();
        }
    }

    /// <summary>Lets a waiting reader look at its connection again.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }

    private Landing? TryPlace(in FrameHeader header, int chunk)
    {
        if (_posted.TryGetValue(header.Key, out var receive))
        {
            Landing.Check(header, chunk, receive);
            receive.Busy = true;
            return new Landing(header, chunk, receive);
        }

        return _early.TryReserve(header, chunk);
    }

    // Somebody may have begun to wait while the payload was read.
    private void Keep(in Landing landing)
    {
        if (_posted.TryGetValue(landing.Header.Key, out var receive))
        {
            Deliver(landing, receive);
        }
        else
        {
            _early.Keep(landing);
        }
    }

    private void TakeEarly(Transfer<Memory<byte>> receive)
    {
        receive.Busy = true;
        while (receive.Received < receive.Length && _early.TryTake(receive.Key, out var landing))
        {
            Deliver(landing, receive);
            Monitor.PulseAll(_gate);
        }

        receive.Busy = false;
        receive.Release();
    }

    private void Deliver(in Landing landing, Transfer<Memory<byte>> receive)
    {
        try
        {
            Landing.Check(landing.Header, landing.Chunk, receive);
            if (!receive.Ended)
            {
                landing.Target.CopyTo(receive.Bytes[receive.Received..]);
            }
        }
        finally
        {
            _early.Free(landing);
        }

        Advance(receive, landing.Header.Length);
    }

    // A message that was given up stays in the table until all of it has come.
    private void Advance(Transfer<Memory<byte>> receive, int length)
    {
        receive.Received += length;
        receive.NextSequence++;
        if (receive.Received == receive.Length)
        {
            if (_posted.TryGetValue(receive.Key, out var posted) && posted == receive)
            {
                _posted.Remove(receive.Key);
            }

            receive.End();
        }
    }

    private void EndAll(Exception error)
    {
        foreach (var receive in _posted.Values)
        {
            receive.End(error);
        }

        _posted.Clear();
        Monitor.PulseAll(_gate);
    }

    private void Cancel(Transfer<Memory<byte>> receive, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            receive.End(new OperationCanceledException(cancellationToken));
        }
    }

    private void CheckEpoch(MessageKey key)
    {
        if (key.Epoch != _epoch)
        {
            throw new TransportException($"Expected a message of epoch {_epoch}, which the job is in, got one of epoch {key.Epoch}.");
        }
    }
}
