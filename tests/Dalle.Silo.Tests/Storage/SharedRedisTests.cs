using System.Net;
using System.Net.Sockets;
using Dalle.Contracts.Cluster;
using Dalle.Contracts.Models;
using Dalle.Contracts.Training;
using Dalle.Silo.Hosting;
using Dalle.Silo.Tests.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Dalle.Silo.Tests.Storage;

/// <summary>Silos whose cluster state is in a Redis named by configuration.</summary>
public sealed class SharedRedisTests : IDisposable
{
    private static readonly TrainingSpec Spec = new()
    {
        Preset = "test", Dataset = "scenes", Model = "shared", Seed = 7, DiscreteVaeUpdates = 10, PriorUpdates = 10, ThreadsPerWorker = 1,
    };

    private readonly SharedRedis _redis = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("dalle-redis-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_OfASiloThatIsGone_IsKnownToTheNext_WithAnEmptyFolder()
    {
        ModelManifest published;
        await using (var first = Silo())
        {
            await first.InitializeAsync();
            await Grains(first).GetGrain<ITrainingJobGrain>("job").Start(Spec, Token);
            await foreach (var _ in Grains(first).GetGrain<ITrainingJobGrain>("job").Watch(cancellationToken: Token))
            {
            }

            published = await Grains(first).GetGrain<IModelCatalogGrain>(0).Get(Spec.Model, Token);
            Assert.False(Directory.Exists(Path.Combine(first.DataFolder, "store")));
        }

        await using var second = Silo();
        await second.InitializeAsync();
        var status = await Grains(second).GetGrain<ITrainingJobGrain>("job").GetStatus(Token);
        var model = await Grains(second).GetGrain<IModelCatalogGrain>(0).Get(Spec.Model, Token);

        Assert.Equal((TrainingPhase.Completed, Spec), (status.Phase, status.Spec));
        Assert.Equal(["job"], await Grains(second).GetGrain<IClusterGrain>(0).ListJobs(Token));
        Assert.Equal((published.Path, "job"), (model.Path, model.JobId));
        Assert.All(model.Files.Keys, file => Assert.True(File.Exists(Path.Combine(_folder, model.Path, file))));
    }

    [Fact]
    public async Task Redis_ThatIsNotThere_IsSaidInOneLine_WithoutThePassword()
    {
        // Bound, but nobody listens: refused, and no one else can take the port.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        Assert.Equal(
            $"No Redis answers at {socket.LocalEndPoint}, which Dalle:Redis names. Start it, or leave the setting out for a store in the data folder.",
            await RefusalOf($"{socket.LocalEndPoint},password=secret"));
    }

    [Fact]
    public async Task Redis_WithAnotherPassword_IsSaidInOneLine_WithoutThePassword() => Assert.Equal(
        $"The Redis at {_redis.Address} refuses the password or user of Dalle:Redis.", await RefusalOf($"{_redis.Address},password=secret"));

    public void Dispose()
    {
        _redis.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static IGrainFactory Grains(RunningSilo silo) => silo.Services.GetRequiredService<IGrainFactory>();

    private async Task<string> RefusalOf(string redis)
    {
        await using var silo = DalleSilo.Create(configure: options =>
            (options.DataFolder, options.HttpPort, options.Redis) = (_folder, 0, $"{redis},connectRetry=1,connectTimeout=1000"));
        return (await Assert.ThrowsAsync<IOException>(() => silo.StartAsync(Token))).Message;
    }

    private RunningSilo Silo() => new() { Configure = options => (options.Redis, options.ArtifactFolder) = (_redis.ConnectionString, _folder) };
}
