using System.Collections.Concurrent;
using System.Net;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Updates;

/// <summary>A network without sockets, whose hosts die when a test says so: right before their n-th message. What a host has sent before arrives all the same; those who wait for more hear that it is gone.</summary>
internal sealed class SimulatedNetwork
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string From, MessageKey Key), byte[]> _sent = [];
    private readonly Dictionary<(string From, MessageKey Key), (string To, Memory<byte> Bytes, TaskCompletionSource Done)> _waiting = [];
    private readonly HashSet<string> _dead = [];

    /// <summary>A host's end of it.</summary>
    /// <param name="name">The host.</param>
    /// <param name="dies">Messages that it sends before it dies.</param>
    public SimulatedPeer Peer(string name, int dies = int.MaxValue) => new(this, name, dies);

    public Task Send(string from, MessageKey key, ReadOnlyMemory<byte> bytes)
    {
        lock (_gate)
        {
            if (_dead.Contains(from))
            {
                return Task.FromException(new PeerLostException(from, PeerLoss.Closed));
            }

            if (_waiting.Remove((from, key), out var receiver))
            {
                bytes.CopyTo(receiver.Bytes);
                receiver.Done.SetResult();
            }
            else
            {
                _sent.Add((from, key), bytes.ToArray());
            }

            return Task.CompletedTask;
        }
    }

    public Task Receive(string self, string from, MessageKey key, Memory<byte> bytes)
    {
        lock (_gate)
        {
            if (_sent.Remove((from, key), out var sent))
            {
                sent.CopyTo(bytes);
                return Task.CompletedTask;
            }

            if (_dead.Contains(from) || _dead.Contains(self))
            {
                return Task.FromException(new PeerLostException(from, PeerLoss.Closed));
            }

            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((from, key), (self, bytes, done));
            return done.Task;
        }
    }

    /// <summary>A host is gone, or has given up: nobody hears of it any more.</summary>
    public void Die(string name)
    {
        lock (_gate)
        {
            _dead.Add(name);
            foreach (var (message, receiver) in _waiting.Where(waiting => waiting.Key.From == name || waiting.Value.To == name).ToArray())
            {
                _waiting.Remove(message);
                receiver.Done.SetException(new PeerLostException(message.From, PeerLoss.Closed));
            }
        }
    }
}

/// <summary>A host's end of a <see cref="SimulatedNetwork"/>.</summary>
internal sealed class SimulatedPeer(SimulatedNetwork network, string name, int dies) : IMessageTransport
{
    private int _sent;

    public string Self => name;

    public PeerAddress Address => new(name, new(IPAddress.Loopback, 1));

    /// <summary>Messages sent so far.</summary>
    public int Sent => _sent;

    public Task Send(PeerAddress to, MessageKey key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        if (Interlocked.Increment(ref _sent) > dies)
        {
            network.Die(name);
        }

        return network.Send(name, key, bytes);
    }

    public Task Receive(PeerAddress from, MessageKey key, Memory<byte> bytes, CancellationToken cancellationToken = default) => network.Receive(name, from.Name, key, bytes);
}
