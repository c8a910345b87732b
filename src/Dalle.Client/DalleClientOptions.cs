using System.Security.Cryptography.X509Certificates;

namespace Dalle.Client;

/// <summary>How a client connects, and how patient it is.</summary>
public sealed record DalleClientOptions
{
    /// <summary>The cluster's certificate with its private key, where its silos have one; see <see cref="ClusterTls"/>. Default: none, a plain connection.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>Time to connect. Default: 10 seconds.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time one question may take. Default: 30 seconds.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time a pause or a cancellation may take: a step, then its checkpoint. Default: 5 minutes.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Silence of a stream after which it is opened anew where it stopped: its silo may be gone. Default: 15 seconds.</summary>
    public TimeSpan StreamSilence { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The same of a generation session, whose reader is a person who waits. Default: 1.5 seconds, a little more than the others take to find out that a silo is gone.</summary>
    public TimeSpan SessionSilence { get; init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>Failures of a stream in a row, with nothing received in between, half a second apart, before its reader is told. Default: 20.</summary>
    public int StreamAttempts { get; init; } = 20;
}
