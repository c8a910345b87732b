namespace Dalle.Collectives.Transport;

/// <summary>A connection that cannot be used: says which peer, what was expected and what came.</summary>
public class TransportException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>An operation that has lost its peer. The stream to it is broken for the rest of the epoch: what was under way may or may not have arrived.</summary>
public sealed class PeerLostException(string peer, PeerLoss loss, Exception? cause = null)
    : TransportException($"Peer '{peer}' is lost: {Describe(loss)}{(cause is null ? "." : ": " + cause.Message)}", cause)
{
    /// <summary>The peer's name.</summary>
    public string Peer { get; } = peer;

    /// <summary>What was seen of it last.</summary>
    public PeerLoss Loss { get; } = loss;

    private static string Describe(PeerLoss loss) => loss switch
    {
        PeerLoss.Unreachable => "no connection came about in time",
        PeerLoss.Closed => "its connection closed",
        PeerLoss.Left => "it left the job",
        PeerLoss.LeaseExpired => "nothing was heard of it for the time of a lease",
        PeerLoss.Refused => "it refused the connection, or its proof did not hold",
        _ => "it broke the protocol",
    };
}

/// <summary>How a peer was lost.</summary>
public enum PeerLoss
{
    /// <summary>No connection came about in time.</summary>
    Unreachable = 0,

    /// <summary>Its connection closed: its process has most likely ended.</summary>
    Closed = 1,

    /// <summary>It said that it leaves the job.</summary>
    Left = 2,

    /// <summary>Nothing was heard of it for the time of a lease: it, its machine or the network hangs.</summary>
    LeaseExpired = 3,

    /// <summary>The handshake failed.</summary>
    Refused = 4,

    /// <summary>It sent what may not be sent.</summary>
    Violation = 5,
}
