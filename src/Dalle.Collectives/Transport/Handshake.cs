using System.Security.Cryptography;
using System.Text;

namespace Dalle.Collectives.Transport;

/// <summary>What the side that listens says to a peer whose proof holds. Sent: values are append-only.</summary>
internal enum Welcome : byte
{
    /// <summary>Frames may follow.</summary>
    Open = 1,

    /// <summary>The job is not open here, or is in another epoch: worth trying again soon.</summary>
    NotYet = 2,

    /// <summary>There was a connection in this epoch, and it broke.</summary>
    Broken = 3,
}

/// <summary>
/// Both sides prove that they know the cluster's secret, and say who they are: each sends a <see cref="Hello"/> with a nonce, then the HMAC-SHA256, under the secret,
/// of its role and both hellos. Every message has a fixed size, and the secret itself is never sent.
/// </summary>
internal static class Handshake
{
    private const int ProofSize = HMACSHA256.HashSizeInBytes;

    /// <summary>The side that connects.</summary>
    /// <exception cref="TransportException">The other side is not who it should be, or does not take this side's proof.</exception>
    /// <exception cref="EndOfStreamException">It closed before it said who it is: it may be too busy, or ending.</exception>
    public static (Hello Peer, Welcome Welcome) Dial(Stream stream, string? secret, Hello self, string expectedPeer)
    {
        var mine = self.ToBytes();
        stream.Write(mine);
        var theirs = new byte[Hello.Size];
        stream.ReadExactly(theirs);
        var peer = Hello.Parse(theirs);
        if (peer.Name != expectedPeer || peer.Job != self.Job)
        {
            throw new TransportException($"Expected peer '{expectedPeer}' in job {self.Job:X16}, got '{peer.Name}' in job {peer.Job:X16}.");
        }

        stream.Write(Proof(secret, "dial", mine, theirs));
        var answer = ReadExactly(stream, 1 + ProofSize);
        CheckProof(peer.Name, Proof(secret, $"accept {answer[0]}", mine, theirs), answer.AsSpan(1));
        return (peer, (Welcome)answer[0]);
    }

    /// <summary>The side that listens, as far as the peer's proof; nothing is promised until <paramref name="decide"/> has seen who it is.</summary>
    /// <exception cref="TransportException">The other side does not prove that it belongs here.</exception>
    public static (Hello Peer, Welcome Welcome) Accept(Stream stream, string? secret, Func<Hello, Hello> self, Func<Hello, Welcome> decide)
    {
        var theirs = ReadExactly(stream, Hello.Size);
        var peer = Hello.Parse(theirs);
        var mine = self(peer).ToBytes();
        stream.Write(mine);
        CheckProof(peer.Name, Proof(secret, "dial", theirs, mine), ReadExactly(stream, ProofSize));
        var welcome = decide(peer);
        byte[] answer = [(byte)welcome, .. Proof(secret, $"accept {(byte)welcome}", theirs, mine)];
        stream.Write(answer);
        return (peer, welcome);
    }

    private static byte[] Proof(string? secret, string role, byte[] dialer, byte[] listener)
    {
        byte[] said = [.. Encoding.ASCII.GetBytes(role), .. dialer, .. listener];
        return HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret ?? string.Empty), said);
    }

    private static void CheckProof(string peer, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> came)
    {
        if (!CryptographicOperations.FixedTimeEquals(expected, came))
        {
            throw new TransportException($"Expected a proof that '{peer}' knows the cluster's secret, got another: the secrets of the two peers differ.");
        }
    }

    private static byte[] ReadExactly(Stream stream, int length)
    {
        var bytes = new byte[length];
        var read = stream.ReadAtLeast(bytes, length, throwOnEndOfStream: false);
        return read == length ? bytes : throw new TransportException($"Expected {length} bytes of handshake, got {read} and the end of the connection.");
    }
}
