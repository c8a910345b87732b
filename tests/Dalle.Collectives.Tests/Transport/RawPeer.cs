using System.IO.Hashing;
using System.Net.Sockets;
using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Transport;

/// <summary>A peer that has shaken hands and then sends whatever bytes a test wants.</summary>
internal sealed class RawPeer : IDisposable
{
    public const string Name = "a-raw-peer";

    private readonly Socket _socket;

    public RawPeer(PeerAddress target, bool handshake = true, int epoch = 1)
    {
        _socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        _socket.Connect(target.EndPoint);
        Stream = new NetworkStream(_socket);
        if (handshake)
        {
            var hello = new Hello(JobTransport.NumberOf(Peers.Job), epoch, 4096, Name);
            Assert.Equal(Welcome.Open, Handshake.Dial(Stream, secret: null, hello, target.Name).Welcome);
        }
    }

    public NetworkStream Stream { get; }

    public static PeerAddress Address { get; } = new(Name, new(System.Net.IPAddress.Loopback, 1));

    /// <summary>A right frame: its header, then its payload.</summary>
    public static byte[] Frame(MessageKey key, byte[] payload, int sequence = 0)
    {
        var bytes = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(FrameKind.Chunk, JobTransport.NumberOf(Peers.Job), key, sequence, payload.Length, XxHash3.HashToUInt64(payload)).Write(bytes);
        payload.CopyTo(bytes, FrameHeader.Size);
        return bytes;
    }

    /// <summary>Waits until the other side has closed.</summary>
    public void WaitForEnd()
    {
        var buffer = new byte[4096];
        try
        {
            while (Stream.Read(buffer) > 0)
            {
            }
        }
        catch (IOException)
        {
            // Reset: it closed with bytes of ours unread.
        }
    }

    public void Dispose()
    {
        Stream.Dispose();
        _socket.Dispose();
    }
}
