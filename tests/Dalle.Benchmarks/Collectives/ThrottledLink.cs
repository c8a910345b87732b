using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Dalle.Benchmarks.Collectives;

/// <summary>A TCP connection's way through a slow network: hands on what comes, either way no faster than so many bytes a second.</summary>
internal sealed class ThrottledLink : IDisposable
{
    /// <summary>Bytes handed on at a time: some milliseconds' worth.</summary>
    private const int Piece = 64 << 10;

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _sockets = [];
    private readonly double _bytesPerSecond;

    /// <param name="target">Where connections are led to.</param>
    /// <param name="bytesPerSecond">The speed of either direction.</param>
    public ThrottledLink(IPEndPoint target, double bytesPerSecond)
    {
        _bytesPerSecond = bytesPerSecond;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        Run(() =>
        {
            while (true)
            {
                var near = _listener.Accept();
                var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                far.Connect(target);
                _sockets.AddRange([near, far]);
                Run(() => Pump(near, far));
                Run(() => Pump(far, near));
            }
        });
    }

    /// <summary>Where to connect.</summary>
    public IPEndPoint EndPoint { get; }

    public void Dispose()
    {
        _listener.Dispose();
        _sockets.ForEach(socket => socket.Dispose());
    }

    private void Pump(Socket from, Socket to)
    {
        (from.NoDelay, to.NoDelay) = (true, true);
        from.ReceiveBufferSize = Piece;
        var buffer = new byte[Piece];
        var free = Stopwatch.GetTimestamp();
        while (from.Receive(buffer) is > 0 and var count)
        {
            // The link is busy with these bytes from when it was free, or from now.
            free = Math.Max(free, Stopwatch.GetTimestamp()) + (long)(count / _bytesPerSecond * Stopwatch.Frequency);
            if (Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), free) is { TotalMilliseconds: >= 1 } wait)
            {
                Thread.Sleep(wait);
            }

            to.Send(buffer.AsSpan(0, count));
        }
    }

    private static void Run(Action work) => new Thread(() => UntilClosed(work)) { IsBackground = true }.Start();

    private static void UntilClosed(Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The link was closed.
        }
    }
}
