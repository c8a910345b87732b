using System.Net.Sockets;

namespace Dalle.Collectives.Transport;

/// <summary>Closes a socket when its time is over, which ends whatever waits for it.</summary>
internal sealed class TimeLimit(TimeProvider time, TimeSpan limit, Socket socket) : IDisposable
{
    private readonly ITimer _timer = time.CreateTimer(static socket => Sockets.Close((Socket)socket!), socket, limit, Timeout.InfiniteTimeSpan);

    public void Dispose() => _timer.Dispose();
}
