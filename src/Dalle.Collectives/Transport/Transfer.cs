namespace Dalle.Collectives.Transport;

/// <summary>A message somebody here waits for: to have been sent, or to arrive. Its owner's lock guards it.</summary>
internal sealed class Transfer<TMemory>(MessageKey key, TMemory bytes, int length)
{
    // The caller goes on elsewhere: neither a thread of the transport nor a lock is held up by it.
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenRegistration _cancellation;
    private Exception? _error;

    public MessageKey Key { get; } = key;

    public TMemory Bytes { get; private set; } = bytes;

    public int Length { get; } = length;

    /// <summary>Bytes of it that have arrived.</summary>
    public int Received { get; set; }

    /// <summary>The chunk that comes next.</summary>
    public int NextSequence { get; set; }

    /// <summary>Whether a thread of the transport is reading or writing the bytes; the caller hears nothing before it has finished.</summary>
    public bool Busy { get; set; }

    /// <summary>Whether the caller has been told how it ended, or will be as soon as it is no longer busy.</summary>
    public bool Ended { get; private set; }

    public Task Done => _done.Task;

    public void OnCancelled(Action<Transfer<TMemory>, CancellationToken> cancel, CancellationToken cancellationToken)
    {
        _cancellation = cancellationToken.UnsafeRegister((_, token) => cancel(this, token), null);
        if (_done.Task.IsCompleted)
        {
            _cancellation.Unregister();
        }
    }

    /// <summary>Ends it, well if there is no error, as soon as nobody is busy with it; the first end counts.</summary>
    public void End(Exception? error = null)
    {
        if (!Ended)
        {
            (Ended, _error) = (true, error);
        }

        Release();
    }

    /// <summary>The thread that was busy with the bytes has finished.</summary>
    public void Release()
    {
        if (Busy || !Ended || _done.Task.IsCompleted)
        {
            return;
        }

        _cancellation.Unregister();
        Bytes = default!;
        _ = _error switch
        {
            null => _done.TrySetResult(),
            OperationCanceledException cancelled => _done.TrySetCanceled(cancelled.CancellationToken),
            _ => _done.TrySetException(_error),
        };
    }
}
