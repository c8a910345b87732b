using System.Net;
using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>Connects to a peer, which may not be listening or in the job yet, and then reads its frames.</summary>
internal sealed class Dialer(PeerChannel channel, JobTransport job, TransportOptions options)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Runs until the connection ends or none comes about.</summary>
    public void Run(PeerAddress address)
    {
        var began = options.Time.GetTimestamp();
        Exception? last = null;
        try
        {
            while (options.Time.GetElapsedTime(began) < options.ConnectTimeout && !job.Left.WaitHandle.WaitOne(last is null ? TimeSpan.Zero : Pause))
            {
                if (TryDial(address, out last) is { } connection)
                {
                    connection.Run();
                    return;
                }
            }

            channel.OnEnded(null, new PeerLostException(channel.Peer, PeerLoss.Unreachable, last));
        }
        catch (TransportException refusal)
        {
            channel.OnEnded(null, new PeerLostException(channel.Peer, PeerLoss.Refused, refusal));
        }
    }

    private Connection? TryDial(PeerAddress address, out Exception? cause)
    {
        var target = Target(address);
        var socket = Sockets.Create(target);
        Stream? stream = null;
        using var limit = new TimeLimit(options.Time, options.HandshakeTimeout, socket);
        try
        {
            socket.Connect(target);
            stream = new NetworkStream(socket);
            stream = options.Certificate is null || target is not IPEndPoint ? stream : Tls.Dial(stream, options, channel.Peer);
            var self = new Hello(job.Number, job.Epoch, options.ChunkBytes, options.Name);
            var (peer, welcome) = Handshake.Dial(stream, options.Secret, self, channel.Peer);
            var connection = new Connection(channel, socket, stream, Math.Min(options.ChunkBytes, peer.ChunkBytes));
            if (welcome == Welcome.Open && channel.TryAttach(connection))
            {
                cause = null;
                return connection;
            }

            connection.Dispose();
            cause = welcome switch
            {
                Welcome.Open => new TransportException("this process has left the job."),
                Welcome.NotYet => new TransportException("it has not opened the job in this epoch."),
                _ => throw new TransportException("The stream to it broke in this epoch; a new one begins with the next epoch."),
            };
            return null;
        }
        catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException)
        {
            stream?.Dispose();
            socket.Dispose();
            cause = error;
            return null;
        }
        catch (Exception error)
        {
            stream?.Dispose();
            socket.Dispose();
            throw error as TransportException ?? new TransportException($"Expected a handshake, got {error.Message}", error);
        }
    }

    private static EndPoint Target(PeerAddress address) =>
        address.SocketPath is { } path && address.Machine == Sockets.Machine && File.Exists(path) ? new UnixDomainSocketEndPoint(path) : address.EndPoint;
}
