using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.EndToEnd.Tests.Training;

namespace Dalle.EndToEnd.Tests.Cluster;

/// <summary>A job on two silos whose tensors go over a network that fails while all else is in order: it goes on, to the bytes of a run on one silo.</summary>
public sealed class NetworkCutTests(SeveralWorkersTests.Expected expected) : IClassFixture<SeveralWorkersTests.Expected>, IAsyncDisposable
{
    private readonly SiloCluster _cluster = new();
    private readonly List<NetworkLink> _links = [];

    /// <summary>Connections between the two, whichever of them has asked for them.</summary>
    private int Forwarded => _links.Sum(link => link.Forwarded);

    [Fact]
    public async Task Job_WhoseConnectionsBreak_OrFallSilent_GoesOnOverNewOnes_ToTheSameBytes()
    {
        var watching = await Begin();
        await watching.Until(next => next is DiscreteVaeStepCompleted { Step: > 20 });
        var first = Forwarded;
        _links.ForEach(link => link.Close());
        var closed = (WorkersPlaced)await watching.Until(next => next is WorkersPlaced);
        await watching.Until(next => next is PriorStepCompleted { Step: > 20 });
        var second = Forwarded;
        _links.ForEach(link => link.Silence());
        var silent = (WorkersPlaced)await watching.Until(next => next is WorkersPlaced);

        JobWatch.AssertNeverBack(await watching.End());
        AssertSame();
        Assert.All([closed, silent], placed => Assert.Equal(2, placed.Silos.Count));
        Assert.Contains("its connection closed", closed.Cause, StringComparison.Ordinal);
        Assert.Contains("nothing was heard of it", silent.Cause, StringComparison.Ordinal);
        Assert.True(0 < first && first < second && second < Forwarded, $"{first}, {second} and {Forwarded} connections were forwarded.");
    }

    [Fact]
    public async Task Job_WhoseSilosAreCutOffForGood_GoesOnOnOne_ToTheSameBytes()
    {
        var watching = await Begin();
        await watching.Until(next => next is PriorStepCompleted { Step: > 20 });
        _links.ForEach(link => link.Cut());
        await watching.Until(next => next is WorkersPlaced { Silos.Count: 1 });

        JobWatch.AssertNeverBack(await watching.End());
        AssertSame();
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        foreach (var link in _links)
        {
            await link.DisposeAsync();
        }
    }

    private async Task<JobWatch> Begin()
    {
        for (var silo = 0; silo < 2; silo++)
        {
            _links.Add(new());
            await _cluster.Join(_links[^1].Variables);
        }

        var client = _cluster.Silos[0].Client;
        return new(client, await client.Submit(SeveralWorkersTests.Spec, UndisturbedRun.Job, TestContext.Current.CancellationToken));
    }

    private void AssertSame() => expected.Run.AssertSame(_cluster.DataFolder, Path.Combine("models", SeveralWorkersTests.Spec.Model, UndisturbedRun.Job));
}
