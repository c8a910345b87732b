using System.Net;
using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>Sockets as this transport uses them: blocking, without delay, with large buffers.</summary>
internal static class Sockets
{
    private const int BufferBytes = 4 << 20;

    /// <summary>Which running machine this is: differs between machines, and after a restart.</summary>
    public static string Machine { get; } = File.Exists("/proc/sys/kernel/random/boot_id") ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() : Environment.MachineName;

    /// <summary>A socket to connect to, or listen on, this address.</summary>
    public static Socket Create(EndPoint address)
    {
        var unix = address is UnixDomainSocketEndPoint;
        var socket = new Socket(address.AddressFamily, SocketType.Stream, unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        Prepare(socket);
        return socket;
    }

    /// <summary>Sets up a socket, connected or not.</summary>
    public static void Prepare(Socket socket)
    {
        socket.SendBufferSize = BufferBytes;
        socket.ReceiveBufferSize = BufferBytes;
        if (socket.ProtocolType == ProtocolType.Tcp)
        {
            socket.NoDelay = true;
        }
    }

    /// <summary>Closes a socket on which other threads may wait.</summary>
    public static void Close(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
        }

        socket.Dispose();
    }
}
