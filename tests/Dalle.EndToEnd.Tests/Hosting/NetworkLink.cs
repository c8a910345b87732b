using System.Net;
using System.Net.Sockets;

namespace Dalle.EndToEnd.Tests.Hosting;

/// <summary>The network between a silo's data plane and the others: forwards what comes, until it is cut.</summary>
internal sealed class NetworkLink : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<(Socket From, Socket To)> _connections = [];
    private readonly List<Task> _work = [];
    private readonly CancellationTokenSource _ended = new();
    private CancellationTokenSource _silenced = new();
    private bool _cut;

    public NetworkLink()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Target = ((IPEndPoint)free.LocalEndPoint!).Port;
        _work.Add(Accept());
    }

    /// <summary>What a silo behind it is told by the environment.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables => [("DALLE_DATAPORT", $"{Target}"), ("DALLE_ADVERTISEDDATAPORT", $"{((IPEndPoint)_listener.LocalEndPoint!).Port}")];

    /// <summary>Connections that were forwarded so far.</summary>
    public int Forwarded
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    private int Target { get; }

    /// <summary>Closes the connections there are.</summary>
    public void Close()
    {
        lock (_gate)
        {
            foreach (var (from, to) in _connections)
            {
                from.Dispose();
                to.Dispose();
            }
        }
    }

    /// <summary>Forwards nothing more on the connections there are, which stay open.</summary>
    public void Silence()
    {
        lock (_gate)
        {
            _silenced.Cancel();
            _silenced = new();
        }
    }

    /// <summary>Forwards nothing more, for good.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            _cut = true;
        }

        Silence();
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        _listener.Dispose();
        Close();
        Task[] work;
        lock (_gate)
        {
            work = [.. _work];
        }

        await Task.WhenAll(work);
    }

    private async Task Accept()
    {
        while (await TryAccept() is { } from)
        {
            var to = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            lock (_gate)
            {
                if (_cut)
                {
                    from.Dispose();
                    continue;
                }

                _connections.Add((from, to));
                _work.Add(Forward(from, to, CancellationTokenSource.CreateLinkedTokenSource(_silenced.Token, _ended.Token).Token));
            }
        }
    }

    private async Task<Socket?> TryAccept()
    {
        try
        {
            return await _listener.AcceptAsync(_ended.Token);
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    private async Task Forward(Socket from, Socket to, CancellationToken silenced)
    {
        try
        {
            await to.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Target), silenced);
            await Task.WhenAll(Pump(from, to, silenced), Pump(to, from, silenced));
        }
        catch (OperationCanceledException)
        {
            // The connections stay open.
            return;
        }
        catch (SocketException)
        {
        }

        from.Dispose();
        to.Dispose();
    }

    private static async Task Pump(Socket from, Socket to, CancellationToken silenced)
    {
        var buffer = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, silenced) is > 0 and var read)
            {
                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), silenced);
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception broken) when (broken is SocketException or ObjectDisposedException)
        {
            // What is broken at one end is broken at the other.
            from.Dispose();
            to.Dispose();
        }
    }
}
