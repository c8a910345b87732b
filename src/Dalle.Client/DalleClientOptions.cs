namespace Dalle.Client;

/// <summary>How patient a client is.</summary>
public sealed record DalleClientOptions
{
    /// <summary>Time to connect. Default: 10 seconds.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time one question may take. Default: 30 seconds.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time a pause or a cancellation may take: a step, then its checkpoint. Default: 5 minutes.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Silence of a stream after which it is opened anew where it stopped: its silo may be gone. Default: 15 seconds.</summary>
    public TimeSpan StreamSilence { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Failures of a stream in a row, with nothing received in between, half a second apart, before its reader is told. Default: 20.</summary>
    public int StreamAttempts { get; init; } = 20;
}
