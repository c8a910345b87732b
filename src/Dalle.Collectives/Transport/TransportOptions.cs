using System.Net;
using System.Security.Cryptography.X509Certificates;

namespace Dalle.Collectives.Transport;

/// <summary>How this process exchanges tensors with others. Not a record: a record would print its secret.</summary>
public sealed class TransportOptions
{
    /// <summary>The shortest secret taken, in characters.</summary>
    public const int ShortestSecret = 16;

    /// <summary>This peer's name, unique in the cluster: 1 to 64 ASCII characters without spaces.</summary>
    public required string Name { get; init; }

    /// <summary>The address listened on. Default: loopback. Any other needs <see cref="Secret"/> and <see cref="Certificate"/>.</summary>
    public IPAddress BindAddress { get; init; } = IPAddress.Loopback;

    /// <summary>The port listened on. Default: 0, any free one.</summary>
    public int Port { get; init; }

    /// <summary>The address others are told, where it is not the one listened on (as with 0.0.0.0). Default: <see cref="BindAddress"/>.</summary>
    public IPAddress? AdvertisedAddress { get; init; }

    /// <summary>The port others are told, where something between them and this process has one of its own. Default: the port listened on.</summary>
    public int? AdvertisedPort { get; init; }

    /// <summary>What all peers of the cluster know and prove to each other, at least 16 characters; never sent or logged. Default: null, allowed on loopback only.</summary>
    public string? Secret { get; init; }

    /// <summary>With its private key: this peer's side of TLS, and then every TCP connection uses it. Default: null, allowed on loopback only.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>Who signs the certificates of all peers. Default: null, every peer shows the very same <see cref="Certificate"/>.</summary>
    public X509Certificate2? Authority { get; init; }

    /// <summary>Whether peers of one machine exchange through a Unix-domain socket, which is faster than TCP and, being local, without TLS. Default: true where the system has them.</summary>
    public bool UnixSockets { get; init; } = true;

    /// <summary>The longest payload of one frame, 4 KiB to 16 MiB; two peers use the smaller of theirs. Default: 512 KiB.</summary>
    public int ChunkBytes { get; init; } = 512 << 10;

    /// <summary>Bytes kept, per peer and job, of messages nobody here waits for yet; when they are reached, no more is read from the peer until somebody does. Default: 64 MiB.</summary>
    public long EarlyBytes { get; init; } = 64L << 20;

    /// <summary>A peer of which nothing was heard for so long is lost. Default: 1 second.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A handshake takes no longer. Default: 5 seconds.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long an operation waits for the first connection to a peer, which may still have to open the job. Default: 10 seconds.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The clock of leases and time limits. Default: the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Told of every connection that was refused or broken off, on a thread of the transport; for logs. Default: null.</summary>
    public Action<TransportException>? Refused { get; init; }

    /// <summary>Checks the settings with each other.</summary>
    /// <exception cref="ArgumentException">Names the setting, what was expected and what came.</exception>
    public void Validate()
    {
        Expect(IsName(Name), $"{nameof(Name)}: expected 1 to {Hello.LongestName} ASCII characters without spaces, got '{Name}'.");
        Expect(Port is >= 0 and <= 65535, $"{nameof(Port)}: expected 0 to 65535, got {Port}.");
        Expect(AdvertisedPort is null or (>= 1 and <= 65535), $"{nameof(AdvertisedPort)}: expected 1 to 65535, got {AdvertisedPort}.");
        Expect(ChunkBytes is >= 4 << 10 and <= 16 << 20, $"{nameof(ChunkBytes)}: expected 4 KiB to 16 MiB, got {ChunkBytes} bytes.");
        Expect(EarlyBytes >= ChunkBytes, $"{nameof(EarlyBytes)}: expected at least {nameof(ChunkBytes)}, {ChunkBytes}, got {EarlyBytes}.");
        Expect(Lease > TimeSpan.Zero && HandshakeTimeout > TimeSpan.Zero && ConnectTimeout > TimeSpan.Zero,
            $"{nameof(Lease)}, {nameof(HandshakeTimeout)} and {nameof(ConnectTimeout)}: expected times above 0, got {Lease}, {HandshakeTimeout} and {ConnectTimeout}.");
        Expect(Secret is null || Secret.Length >= ShortestSecret, $"{nameof(Secret)}: expected at least {ShortestSecret} characters, got {Secret?.Length}.");
        Expect(Certificate is null or { HasPrivateKey: true }, $"{nameof(Certificate)}: expected a certificate with its private key, got one without.");
        Expect(IPAddress.IsLoopback(BindAddress) || (Secret is not null && Certificate is not null),
            $"{nameof(BindAddress)}: {BindAddress} can be reached from other machines, so {nameof(Secret)} and {nameof(Certificate)} must both be set; "
            + $"{(Secret is null ? nameof(Secret) : nameof(Certificate))} is not.");
    }

    internal static bool IsName(string? name) => name is { Length: >= 1 and <= Hello.LongestName } && name.All(c => c is > ' ' and <= '~');

    private static void Expect(bool holds, string message)
    {
        if (!holds)
        {
            throw new ArgumentException(message);
        }
    }
}
