using System.Buffers;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Groups;

/// <summary>The messages of one operation of a group. It ends only when none of them touches the caller's memory any more, and the first that fails ends the others.</summary>
internal sealed class Exchange : IDisposable
{
    private readonly CollectiveGroup _group;
    private readonly CollectiveKey _key;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _ended;
    private readonly List<Task> _messages = [];
    private readonly List<byte[]> _rented = [];

    private Exchange(CollectiveGroup group, CollectiveKey key, CancellationToken caller)
    {
        (_group, _key, _caller) = (group, key, caller);
        _ended = CancellationTokenSource.CreateLinkedTokenSource(caller);
    }

    /// <summary>Payload bytes sent.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Payload bytes received.</summary>
    public long ReceivedBytes { get; private set; }

    /// <summary>Runs an operation to its end.</summary>
    /// <exception cref="TransportException">The first failure of a message.</exception>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public static async Task Run(CollectiveGroup group, CollectiveKey key, Func<Exchange, Task> operation, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var exchange = new Exchange(group, key, cancellationToken);
        try
        {
            await operation(exchange);
            await Task.WhenAll(exchange._messages);
            group.Count(exchange);
        }
        catch (Exception error)
        {
            await exchange._ended.CancelAsync();
            await Task.WhenAll(exchange._messages).ContinueWith(static _ => { }, TaskScheduler.Default);
            exchange.ThrowFirst();
            throw error is OperationCanceledException ? new OperationCanceledException(cancellationToken) : error;
        }
    }

    /// <summary>Sends to another process.</summary>
    /// <param name="rank">The own rank that the bytes are of.</param>
    /// <param name="process">Whom to.</param>
    /// <param name="part">The piece of the operation.</param>
    /// <param name="bytes">What is sent.</param>
    public void Send(int rank, int process, int part, ReadOnlyMemory<byte> bytes)
    {
        SentBytes += bytes.Length;
        var to = _group.Processes[process];
        _ = Watch(_group.Transport.Send(to.Address, Key(part, rank, to), bytes, _ended.Token));
    }

    /// <summary>Receives what another process sends of one of its ranks.</summary>
    public Task Receive(int rank, int part, Memory<byte> bytes)
    {
        ReceivedBytes += bytes.Length;
        return Watch(_group.Transport.Receive(_group.Members[rank].Address, Key(part, rank, _group.Processes[_group.Self]), bytes, _ended.Token));
    }

    /// <summary>Ends when all messages so far have arrived or gone.</summary>
    public Task Settled() => Task.WhenAll(_messages);

    /// <summary>Memory for as long as the operation lasts.</summary>
    public Memory<byte> Rent(int length)
    {
        var array = ArrayPool<byte>.Shared.Rent(length);
        _rented.Add(array);
        return array.AsMemory(0, length);
    }

    public void Dispose()
    {
        _ended.Dispose();
        _rented.ForEach(array => ArrayPool<byte>.Shared.Return(array));
    }

    // A process is told by its first rank.
    private MessageKey Key(int part, int from, GroupProcess to) => new(_group.Epoch, _key.Step, _key.Tag, part, _group.Members[from].Number, _group.Members[to.Ranks[0]].Number);

    private Task Watch(Task message)
    {
        if (message.IsCompletedSuccessfully)
        {
            return message;
        }

        _messages.Add(message);
        _ = message.ContinueWith(
            static (_, exchange) => ((Exchange)exchange!).EndOthers(), this, CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return message;
    }

    private void EndOthers()
    {
        try
        {
            _ended.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The operation heard of it before, and has ended.
        }
    }

    // What was cancelled because another message failed is not the cause; nor is anything when the caller gave up.
    private void ThrowFirst()
    {
        _caller.ThrowIfCancellationRequested();
        _messages.Find(message => message.IsFaulted)?.GetAwaiter().GetResult();
    }
}
