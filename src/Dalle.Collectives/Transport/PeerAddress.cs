using System.Net;

namespace Dalle.Collectives.Transport;

/// <summary>Where a peer listens. Given out by its <see cref="TransportEndpoint.Address"/> and carried to the others by whoever forms the group.</summary>
/// <param name="Name">The peer's name, unique in the cluster: 1 to 64 ASCII characters without spaces.</param>
/// <param name="EndPoint">Its TCP address and port.</param>
/// <param name="Machine">Which running machine it is on; peers of one machine may use <paramref name="SocketPath"/>.</param>
/// <param name="SocketPath">Its Unix-domain socket, or null.</param>
public sealed record PeerAddress(string Name, IPEndPoint EndPoint, string? Machine = null, string? SocketPath = null);
