using System.Net;
using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>Accepts connections at one address, each on a thread of its own.</summary>
internal sealed class Listener : IDisposable
{
    /// <summary>Handshakes under way at once; a connection beyond them is closed unread.</summary>
    private const int Handshakes = 64;

    private readonly Socket _socket;
    private readonly TransportOptions _options;
    private readonly Action<Socket, Stream, IDisposable> _serve;
    private volatile bool _closed;
    private int _handshakes;

    /// <param name="address">Where to listen.</param>
    /// <param name="options">Of the endpoint.</param>
    /// <param name="serve">Shakes hands and serves a connection; disposes of the time limit when the handshake is done.</param>
    public Listener(EndPoint address, TransportOptions options, Action<Socket, Stream, IDisposable> serve)
    {
        (_options, _serve) = (options, serve);
        _socket = Sockets.Create(address);
        try
        {
            _socket.Bind(address);
            _socket.Listen();
        }
        catch
        {
            _socket.Dispose();
            throw;
        }

        Address = _socket.LocalEndPoint!;
        new Thread(Accept) { IsBackground = true, Name = $"listener {Address}" }.Start();
    }

    /// <summary>Where it listens, with the port that was free.</summary>
    public EndPoint Address { get; }

    /// <summary>A path for a socket in a new folder that only this user may enter.</summary>
    public static string NewSocketPath() => Path.Combine(Directory.CreateTempSubdirectory("dalle-").FullName, "peer");

    public void Dispose()
    {
        _closed = true;
        Sockets.Close(_socket);
        if (Address is UnixDomainSocketEndPoint)
        {
            var folder = Path.GetDirectoryName(Address.ToString())!;
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private void Accept()
    {
        while (!_closed)
        {
            try
            {
                var socket = _socket.Accept();
                if (Interlocked.Increment(ref _handshakes) > Handshakes)
                {
                    Interlocked.Decrement(ref _handshakes);
                    socket.Dispose();
                    continue;
                }

                new Thread(() => Serve(socket)) { IsBackground = true, Name = "peer" }.Start();
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // A connection that broke before it was taken is no reason to stop listening.
            }
        }
    }

    private void Serve(Socket socket)
    {
        using var handshake = new UnderWay(this, socket);
        try
        {
            Sockets.Prepare(socket);
            using Stream plain = new NetworkStream(socket);
            using var stream = _options.Certificate is null || Address is not IPEndPoint ? plain : Tls.Accept(plain, _options);
            _serve(socket, stream, handshake);
        }
        catch (Exception error)
        {
            var from = Address is IPEndPoint ? "a TCP peer" : "a peer on this machine";
            _options.Refused?.Invoke(error as TransportException ?? new TransportException($"Expected a handshake from {from}, got {error.Message}", error));
        }
        finally
        {
            socket.Dispose();
        }
    }

    /// <summary>A handshake's place among those under way, and its time limit.</summary>
    private sealed class UnderWay(Listener listener, Socket socket) : IDisposable
    {
        private readonly TimeLimit _limit = new(listener._options.Time, listener._options.HandshakeTimeout, socket);
        private int _done;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _done, 1) == 0)
            {
                _limit.Dispose();
                Interlocked.Decrement(ref listener._handshakes);
            }
        }
    }
}
