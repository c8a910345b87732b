using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Dalle.Client;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Dalle.Silo.Hosting;
using Dalle.Silo.Tests.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans.Runtime;

namespace Dalle.Silo.Tests.Storage;

/// <summary>Silos that join another's cluster by its embedded store.</summary>
public sealed class JoinTests : IDisposable
{
    private const string Secret = "known-to-the-test-alone", CertificatePassword = "of-the-test";

    private static readonly TrainingSpec Spec = new()
    {
        Preset = "test", Dataset = "scenes", Model = "joined", Seed = 7, DiscreteVaeUpdates = 5, PriorUpdates = 5, ThreadsPerWorker = 1,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("dalle-join-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Silo_ThatJoins_IsOneClusterWithTheOther_AndSharesItsArtifacts(bool encrypted)
    {
        var certificate = encrypted ? NewCertificate() : null;
        await using var first = Silo(certificate);
        await first.InitializeAsync();
        var card = SiloCard.Read(first.DataFolder)!;
        await using var second = Silo(certificate, card.Join);
        await second.InitializeAsync();

        var hosts = await second.Services.GetRequiredService<IGrainFactory>().GetGrain<IManagementGrain>(0).GetHosts(onlyActive: true, Token);
        Assert.Equal(2, hosts.Count);
        Assert.Equal(card.Artifacts, SiloCard.Read(second.DataFolder)!.Artifacts);

        // A client from outside, over the gateway of the one that joined; either silo may do the work.
        using var shown = certificate is null ? null : ClusterCertificate.Load(certificate, CertificatePassword);
        await using var client = await DalleClient.Connect(SiloCard.Read(second.DataFolder)!, new() { Certificate = shown }, Token);
        var job = await client.Submit(Spec, Token);
        await foreach (var _ in client.Watch(job, cancellationToken: Token))
        {
        }

        Assert.Equal(TrainingPhase.Completed, (await DalleClient.For(first.Services).GetStatus(job, Token)).Phase);
        Assert.True(File.Exists(Path.Combine(card.Artifacts, (await client.GetModel(Spec.Model, Token)).Path, "prior.safetensors")));
    }

    [Fact]
    public async Task Jobs_AreWokenWhenASiloIsGone()
    {
        using var wakings = new WakingFilter();
        await using var first = Silo(configureServices: services => services.AddSingleton<IIncomingGrainCallFilter>(wakings));
        await first.InitializeAsync();
        await using var second = Silo(join: SiloCard.Read(first.DataFolder)!.Join, configureServices: services => services.AddSingleton<IIncomingGrainCallFilter>(wakings));
        await second.InitializeAsync();
        await wakings.Next();
        await wakings.Next();

        await second.Stop();

        await wakings.Next();
    }

    [Fact]
    public async Task Client_WithoutTheCertificate_IsNotLetIn()
    {
        await using var silo = Silo(NewCertificate());
        await silo.InitializeAsync();

        var refused = await Assert.ThrowsAsync<IOException>(() => DalleClient.Connect(silo.DataFolder, new() { ConnectTimeout = TimeSpan.FromSeconds(3) }, Token));

        Assert.StartsWith("No silo answers at 127.0.0.1:", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silo_WithAnotherSecret_IsToldSo()
    {
        await using var first = Silo();
        await first.InitializeAsync();
        var join = SiloCard.Read(first.DataFolder)!.Join;

        Assert.Equal(
            $"The silo at {join} has another cluster secret; give this one the same, in DALLE_CLUSTERSECRET.",
            await RefusalOf(options => (options.Join, options.ClusterSecret) = (join, "another-one-of-some-length")));
    }

    [Fact]
    public async Task Silo_WithAnotherFolderOfArtifacts_IsRefused()
    {
        await using var first = Silo();
        await first.InitializeAsync();
        var card = SiloCard.Read(first.DataFolder)!;
        var other = Path.Combine(_folder, "other");

        Assert.Equal(
            $"'{other}' is not the folder of artifacts that cluster 'dalle' shares, '{card.Artifacts}' on its first silo. Mount that here and name it in Dalle:ArtifactFolder.",
            await RefusalOf(options => (options.Join, options.ClusterSecret, options.ArtifactFolder) = (card.Join, Secret, other)));
    }

    [Fact]
    public async Task Silo_ToJoinWhereNoneIs_IsToldSo()
    {
        var nobody = $"127.0.0.1:{FreePorts.Settle(System.Net.IPAddress.Loopback, 0)[0]}";

        Assert.StartsWith(
            $"No silo that can be joined answers at {nobody}, which Dalle:Join names",
            await RefusalOf(options => (options.Join, options.ClusterSecret) = (nobody, Secret)),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silo_WithoutASecret_CannotBeJoined()
    {
        await using var silo = new RunningSilo();
        await silo.InitializeAsync();

        Assert.Null(SiloCard.Read(silo.DataFolder)!.Join);
    }

    [Theory]
    [InlineData("127.0.0.1:11311", null, "Dalle:ClusterSecret: joining a cluster takes its secret; set it, in DALLE_CLUSTERSECRET, as on the silo at 127.0.0.1:11311.")]
    [InlineData("127.0.0.1", Secret, "Dalle:Join: expected host:port such as 127.0.0.1:11311, got '127.0.0.1'.")]
    [InlineData("user@host:1/path", Secret, "Dalle:Join: expected host:port")]
    [InlineData("127.0.0.1:11311", "short", "Dalle:ClusterSecret")]
    public void Settings_ThatCannotWork_AreRefusedByName(string join, string? secret, string named)
    {
        var error = Assert.Throws<OptionsValidationException>(() => DalleSilo.Create(configure: options => (options.Join, options.ClusterSecret) = (join, secret)));

        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificate_ThatIsNone_IsRefusedByName()
    {
        var file = Path.Combine(_folder, "text.pfx");
        await File.WriteAllTextAsync(file, "not a certificate", Token);

        Assert.StartsWith(
            $"Dalle:ClusterCertificate: expected a PKCS#12 file (.pfx), got '{file}'", await RefusalOf(options => options.ClusterCertificate = file), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static RunningSilo Silo(string? certificate = null, string? join = null, Action<IServiceCollection>? configureServices = null) => new()
    {
        ConfigureServices = configureServices ?? (_ => { }),
        Configure = options =>
            (options.ClusterSecret, options.ClusterCertificate, options.ClusterCertificatePassword, options.Join) = (Secret, certificate, certificate is null ? null : CertificatePassword, join),
    };

    private async Task<string> RefusalOf(Action<SiloOptions> configure)
    {
        await using var silo = DalleSilo.Create(configure: options =>
        {
            (options.DataFolder, options.HttpPort) = (Path.Combine(_folder, "refused"), 0);
            configure(options);
        });
        return (await Assert.ThrowsAsync<IOException>(() => silo.StartAsync(Token))).Message;
    }

    private string NewCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=dalle", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var file = Path.Combine(_folder, "cluster.pfx");
        File.WriteAllBytes(file, certificate.Export(X509ContentType.Pkcs12, CertificatePassword));
        return file;
    }

    /// <summary>Counts how often the jobs are woken: once as each silo starts, and once when one is gone.</summary>
    private sealed class WakingFilter : IIncomingGrainCallFilter, IDisposable
    {
        private readonly SemaphoreSlim _seen = new(0);

        public async Task Next() => Assert.True(await _seen.WaitAsync(TimeSpan.FromMinutes(1), Token));

        public async Task Invoke(IIncomingGrainCallContext context)
        {
            await context.Invoke();
            if (context.InterfaceMethod.DeclaringType == typeof(IClusterGrain) && context.MethodName == nameof(IClusterGrain.WakeJobs))
            {
                _seen.Release();
            }
        }

        public void Dispose() => _seen.Dispose();
    }
}
