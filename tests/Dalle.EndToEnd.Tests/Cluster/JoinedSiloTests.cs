using Dalle.Contracts.Cluster;
using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.EndToEnd.Tests.Training;
using Dalle.Tests.Shared;

namespace Dalle.EndToEnd.Tests.Cluster;

/// <summary>Silos that join a cluster in which jobs run, and leave it again, in order or not.</summary>
public sealed class JoinedSiloTests(UndisturbedRun undisturbed) : IDisposable
{
    private const string Secret = "known-to-the-test-alone";

    /// <summary>One for each silo.</summary>
    private static readonly string[] Jobs = ["one", "two"];

    private readonly TemporaryFolder _first = new(), _second = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Kill")]
    [InlineData("Terminate")]
    public async Task Jobs_OfASiloThatJoinedAndIsGone_GoOnOnTheOther_ToTheSameBytes(string signal)
    {
        await using var first = await SiloProcess.StartInCluster(_first.FullName, Secret);
        await using var second = await SiloProcess.StartInCluster(_second.FullName, Secret, SiloCard.Read(_first.FullName)!.Join);
        foreach (var job in Jobs)
        {
            await second.Client.Submit(UndisturbedRun.Spec with { Model = job }, job, Token);
            await first.Watch(job, next => next is DiscreteVaeStepCompleted);
        }

        var silos = await first.Client.ListSilos(Token);
        Assert.Equal([1, 1], silos.Select(silo => silo.Device!.Stages.Count));

        await second.End(Enum.Parse<Signal>(signal));

        foreach (var job in Jobs)
        {
            undisturbed.AssertSame(_first.FullName, (await first.Finish(job)).Path);
        }
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }
}
