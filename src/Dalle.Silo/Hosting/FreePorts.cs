using System.Net;
using System.Net.Sockets;

namespace Dalle.Silo.Hosting;

/// <summary>Ports for services that cannot pick one themselves.</summary>
internal static class FreePorts
{
    /// <summary>Each wanted port, or a free one in place of 0; all different.</summary>
    public static IReadOnlyList<int> Settle(IPAddress address, params IReadOnlyList<int> wanted)
    {
        var listeners = new List<TcpListener>();
        try
        {
            return [.. wanted.Select(port => port == 0 ? Reserve(address, listeners) : port)];
        }
        finally
        {
            listeners.ForEach(listener => listener.Dispose());
        }
    }

    private static int Reserve(IPAddress address, List<TcpListener> listeners)
    {
        var listener = new TcpListener(address, 0);
        listeners.Add(listener);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
