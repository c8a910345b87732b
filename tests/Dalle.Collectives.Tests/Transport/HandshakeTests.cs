using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Dalle.Collectives.Transport;
using Microsoft.Extensions.Time.Testing;
using static Dalle.Collectives.Tests.Transport.Peers;

namespace Dalle.Collectives.Tests.Transport;

public sealed class HandshakeTests
{
    private const string Secret = "correct horse battery staple";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Secret, "another secret of 24 chars")]
    [InlineData(Secret, null)]
    [InlineData(null, Secret)]
    public async Task Peers_WithDifferentSecrets_RefuseEachOther(string? first, string? second)
    {
        var refused = new TaskCompletionSource<TransportException>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var peers = new Peers();
        peers.Add(Options("a", secret: first));
        peers.Add(Options("b", secret: second, refused: error => refused.TrySetResult(error)));
        var lost = await Assert.ThrowsAsync<PeerLostException>(() => peers.Jobs[0].Send(peers.Addresses[1], Key(), new byte[5], Token));
        Assert.Equal(PeerLoss.Refused, lost.Loss);
        var told = await refused.Task.WaitAsync(Token);
        Assert.Contains("the secrets of the two peers differ", told.Message, StringComparison.Ordinal);
        Assert.All([lost.ToString(), told.ToString()], text => Assert.DoesNotContain(Secret, text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Peers_WithTheSameSecret_TakeEachOther()
    {
        await using var peers = Of(2, options => Options(options.Name, secret: Secret));
        var received = new byte[100];
        await peers.Exchange(1, 0, Key(), Bytes(100), received);
        Assert.Equal(Bytes(100), received);
    }

    [Fact]
    public void Listener_ThatDoesNotKnowTheSecret_IsFoundOut()
    {
        // Each side sees its own hello answered, so a proof cannot be sent back to whom it came from.
        var (dialer, listener) = (new Hello(1, 1, 4096, "a").ToBytes(), new Hello(1, 1, 4096, "b").ToBytes());
        using var stream = new ScriptedStream([.. listener, 1, .. HMACSHA256.HashData("guess"u8, dialer)]);
        Assert.Contains("secrets", Assert.Throws<TransportException>(() => Handshake.Dial(stream, Secret, new Hello(1, 1, 4096, "a"), "b")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strangers_AreRefusedBeforeAnythingIsSaid()
    {
        var refused = new TaskCompletionSource<TransportException>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var peers = new Peers();
        peers.Add(Options("peer", secret: Secret, refused: error => refused.TrySetResult(error)));
        using var raw = new RawPeer(peers.Addresses[0], handshake: false);
        raw.Stream.Write(Bytes(Hello.Size));
        Assert.Contains("hello", (await refused.Task.WaitAsync(Token)).Message, StringComparison.Ordinal);
        raw.WaitForEnd();
    }

    [Fact]
    public async Task Handshake_ThatTakesTooLong_IsBrokenOff()
    {
        var time = new FakeTimeProvider();
        await using var peers = new Peers();
        peers.Add(Options("peer", time: time));
        using var raw = new RawPeer(peers.Addresses[0], handshake: false);
        raw.Stream.Write(Bytes(10));
        var ended = Task.Run(raw.WaitForEnd, Token);
        while (!ended.IsCompleted)
        {
            // The limit begins when the listener's thread has taken the connection.
            time.Advance(Long);
            await Task.Delay(1, Token);
        }
    }

    [Fact]
    public async Task Job_ThatThePeerOpensLater_IsWaitedFor()
    {
        await using var first = new TransportEndpoint(Options("a"));
        await using var second = new TransportEndpoint(Options("b"));
        await using var job = first.Open("late", 1);
        var sending = job.Send(second.Address, Key(), Bytes(100), Token);
        await using var late = second.Open("late", 1);
        var received = new byte[100];
        await late.Receive(first.Address, Key(), received, Token);
        await sending;
        Assert.Equal(Bytes(100), received);
    }

    [Fact]
    public async Task Peer_ThatIsNotThere_IsLostWhenTheTimeIsOver()
    {
        var time = new FakeTimeProvider();
        await using var peers = new Peers();
        peers.Add(Options("m", time: time));
        // Of two peers the first in order connects: one way to be lost for each.
        var nobody = new IPEndPoint(IPAddress.Loopback, 1);
        var dialled = peers.Jobs[0].Send(new PeerAddress("z", nobody), Key(), new byte[5], Token);
        var awaited = peers.Jobs[0].Receive(new PeerAddress("b", nobody), Key(), new byte[5], Token);
        while (!dialled.IsCompleted || !awaited.IsCompleted)
        {
            time.Advance(Long);
            await Task.Delay(1, Token);
        }

        Assert.Equal(PeerLoss.Unreachable, (await Assert.ThrowsAsync<PeerLostException>(() => dialled)).Loss);
        Assert.Equal(PeerLoss.Unreachable, (await Assert.ThrowsAsync<PeerLostException>(() => awaited)).Loss);
    }

    [Fact]
    public async Task Tls_CarriesMessages_AndRefusesAnotherCertificate()
    {
        using var certificate = NewCertificate();
        using var stranger = NewCertificate();
        await using var peers = new Peers();
        peers.Add(Secure("a", certificate));
        peers.Add(Secure("b", certificate));
        peers.Add(Secure("c", stranger));
        foreach (var length in (int[])[100, 1_000_000])
        {
            var received = new byte[length];
            await peers.Exchange(0, 1, Key(length), Bytes(length), received);
            await peers.Exchange(1, 0, Key(length), received, received = new byte[length]);
            Assert.Equal(Bytes(length), received);
        }

        var lost = await Assert.ThrowsAsync<PeerLostException>(() => peers.Jobs[0].Receive(peers.Addresses[2], Key(), new byte[5], Token));
        Assert.Equal(PeerLoss.Refused, lost.Loss);
    }

    [Fact]
    public async Task Tls_IsSpokenToThoseWhoseCertificatesTheAuthoritySigned()
    {
        using var authority = NewCertificate();
        using var first = NewCertificate(authority);
        using var second = NewCertificate(authority);
        await using var peers = new Peers();
        peers.Add(Secure("a", first, authority));
        peers.Add(Secure("b", second, authority));
        var received = new byte[100];
        await peers.Exchange(0, 1, Key(), Bytes(100), received);
        Assert.Equal(Bytes(100), received);
    }

    [Fact]
    public void Address_OffLoopback_NeedsASecretAndACertificate()
    {
        using var certificate = NewCertificate();
        Assert.Contains("Secret is not", Refused(null, certificate), StringComparison.Ordinal);
        Assert.Contains("Certificate is not", Refused(Secret, null), StringComparison.Ordinal);
        new TransportOptions { Name = "a", BindAddress = IPAddress.Any, Secret = Secret, Certificate = certificate }.Validate();

        static string Refused(string? secret, X509Certificate2? certificate)
        {
            var options = new TransportOptions { Name = "a", BindAddress = IPAddress.Any, Secret = secret, Certificate = certificate };
            var message = Assert.Throws<ArgumentException>(() => new TransportEndpoint(options)).Message;
            Assert.Contains("BindAddress", message, StringComparison.Ordinal);
            return message;
        }
    }

    [Fact]
    public void Options_ThatCannotBe_AreRefusedByName()
    {
        Assert.Contains("Name", Assert.Throws<ArgumentException>(() => new TransportOptions { Name = "with space" }.Validate()).Message, StringComparison.Ordinal);
        Assert.Contains("Secret", Assert.Throws<ArgumentException>(() => new TransportOptions { Name = "a", Secret = "short" }.Validate()).Message, StringComparison.Ordinal);
        Assert.Contains("ChunkBytes", Assert.Throws<ArgumentException>(() => new TransportOptions { Name = "a", ChunkBytes = 1 }.Validate()).Message, StringComparison.Ordinal);
        Assert.Contains("EarlyBytes", Assert.Throws<ArgumentException>(() => new TransportOptions { Name = "a", EarlyBytes = 1 }.Validate()).Message, StringComparison.Ordinal);
        Assert.Contains("Lease", Assert.Throws<ArgumentException>(() => new TransportOptions { Name = "a", Lease = default }.Validate()).Message, StringComparison.Ordinal);
    }

    private static TransportOptions Secure(string name, X509Certificate2 certificate, X509Certificate2? authority = null) => new()
    {
        Name = name,
        Secret = Secret,
        Certificate = certificate,
        Authority = authority,
        UnixSockets = false,
        Lease = Long,
        ConnectTimeout = Long,
        HandshakeTimeout = Long,
    };

    private static X509Certificate2 NewCertificate(X509Certificate2? issuer = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={(issuer is null ? "authority" : "peer")}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(issuer is null, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        if (issuer is null)
        {
            return request.CreateSelfSigned(now.AddDays(-2), now.AddDays(2));
        }

        using var signed = request.Create(issuer, now.AddDays(-1), now.AddDays(1), RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }
}
