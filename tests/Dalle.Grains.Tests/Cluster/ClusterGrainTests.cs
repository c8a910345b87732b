using Dalle.Contracts.Training;
using Dalle.Grains.Tests.Hosting;
using Dalle.Grains.Tests.Training;
using Orleans.Runtime;

namespace Dalle.Grains.Tests.Cluster;

public sealed class ClusterGrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static int _registers;

    // The system has one, keyed 0; each test here has one of its own.
    private readonly int _key = Interlocked.Increment(ref _registers);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private IClusterGrain Cluster => cluster.Grains.GetGrain<IClusterGrain>(_key);

    [Fact]
    public async Task ListJobs_IsNewestFirst_EachOnce_AndOutlivesTheActivation()
    {
        await Cluster.Register("a", Token);
        await Cluster.Register("b", Token);
        await Cluster.Register("a", Token);
        Assert.Equal(["b", "a"], await Cluster.ListJobs(Token));

        await cluster.EndActivations(Token);

        Assert.Equal(["b", "a"], await Cluster.ListJobs(Token));
    }

    [Fact]
    public async Task Register_ThatCouldNotBeStored_IsStoredWhenRepeated()
    {
        cluster.Stored.FailNextWrite($"{_key}");
        await Assert.ThrowsAsync<OrleansException>(() => Cluster.Register("a", Token));
        Assert.Empty(await Cluster.ListJobs(Token));

        await Cluster.Register("a", Token);
        await cluster.EndActivations(Token);

        Assert.Equal(["a"], await Cluster.ListJobs(Token));
    }

    [Fact]
    public async Task WakeJobs_LetsRunningJobsGoOn_AndLeavesTheOthers()
    {
        var register = cluster.Grains.GetGrain<IClusterGrain>(0);
        var (running, paused) = (WorkerScripts.Of("woken"), WorkerScripts.Of("sleeping"));
        await Start("woken");
        await Start("sleeping");
        await running.NextLease(Token);
        await paused.NextLease(Token);
        await cluster.Grains.GetGrain<ITrainingJobGrain>("sleeping").Pause(Token);
        await cluster.EndActivations(Token);
        await running.NextLetGo(Token);

        await register.WakeJobs(Token);

        Assert.Equal(2, (await running.NextLease(Token)).Epoch);
        Assert.Equal(TrainingPhase.Paused, (await cluster.Grains.GetGrain<ITrainingJobGrain>("sleeping").GetStatus(Token)).Phase);
        Assert.Single(paused.Leases);
        await cluster.Grains.GetGrain<ITrainingJobGrain>("woken").Cancel(Token);
    }

    [Fact]
    public async Task ListSilos_NamesEveryActiveSilo_WithItsDevice()
    {
        var silos = await Cluster.ListSilos(Token);

        Assert.Equal(cluster.Silos.Select(silo => silo.SiloAddress.Endpoint.ToString()).Order(StringComparer.Ordinal), silos.Select(silo => silo.Address).Order(StringComparer.Ordinal));
        Assert.All(silos, silo => Assert.Equal("cpu", silo.Device?.Device));
    }

    private Task Start(string job) => cluster.Grains.GetGrain<ITrainingJobGrain>(job).Start(new() { Preset = "test", Dataset = "scenes", Model = "m" }, Token);
}
