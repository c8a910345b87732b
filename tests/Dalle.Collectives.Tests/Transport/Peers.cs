using Dalle.Collectives.Transport;

namespace Dalle.Collectives.Tests.Transport;

/// <summary>Endpoints in this process that know each other as if each were in one of its own, all in one job.</summary>
internal sealed class Peers : IAsyncDisposable
{
    public const string Job = "job";

    /// <summary>Nothing in these tests is waited for by the clock: a lease that could end on a busy machine would fail them for no reason.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    private readonly List<TransportEndpoint> _endpoints = [];

    public List<JobTransport> Jobs { get; } = [];

    public List<PeerAddress> Addresses { get; } = [];

    public static Peers Of(int count, Func<TransportOptions, TransportOptions>? change = null)
    {
        var peers = new Peers();
        for (var i = 0; i < count; i++)
        {
            peers.Add(Options($"peer-{i}"), change);
        }

        return peers;
    }

    public static TransportOptions Options(
        string name, string? secret = null, int chunkBytes = 4096, long earlyBytes = 1 << 20, TimeProvider? time = null, bool unixSockets = true,
        Action<TransportException>? refused = null, TimeSpan? lease = null) => new()
        {
            Name = name,
            Secret = secret,
            ChunkBytes = chunkBytes,
            EarlyBytes = earlyBytes,
            Time = time ?? TimeProvider.System,
            UnixSockets = unixSockets,
            Refused = refused,
            Lease = lease ?? Long,
            ConnectTimeout = Long,
            HandshakeTimeout = Long,
        };

    public void Add(TransportOptions options, Func<TransportOptions, TransportOptions>? change = null)
    {
        var endpoint = new TransportEndpoint(change?.Invoke(options) ?? options);
        _endpoints.Add(endpoint);
        Addresses.Add(endpoint.Address);
        Jobs.Add(endpoint.Open(Job, epoch: 1));
    }

    /// <summary>Sends from one peer to another and waits until it has arrived.</summary>
    public async Task Exchange(int from, int to, MessageKey key, ReadOnlyMemory<byte> bytes, Memory<byte> target) => await Task.WhenAll(
        Jobs[to].Receive(Addresses[from], key, target, TestContext.Current.CancellationToken),
        Jobs[from].Send(Addresses[to], key, bytes, TestContext.Current.CancellationToken));

    public static MessageKey Key(int tag = 0, int epoch = 1) => new(epoch, Step: 7, tag, Part: 0, From: 0, To: 1);

    public static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var endpoint in _endpoints)
        {
            await endpoint.DisposeAsync();
        }
    }
}
