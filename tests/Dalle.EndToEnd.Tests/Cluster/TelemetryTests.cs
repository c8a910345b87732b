using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.EndToEnd.Tests.Training;

namespace Dalle.EndToEnd.Tests.Cluster;

/// <summary>What silos tell a collector of OpenTelemetry while they train.</summary>
public sealed class TelemetryTests : IAsyncDisposable
{
    private readonly SiloCluster _cluster = new();

    private static TrainingSpec Spec { get; } = UndisturbedRun.Spec with { Replicas = 2, Shards = 2, DiscreteVaeUpdates = 5, PriorUpdates = 100_000 };

    [Fact]
    public async Task MetricsAndSpans_OfAJobOnThreeSilos_ComeToTheCollector()
    {
        await using var collector = await Collector.Start();
        // Of three silos two share a replica: only then are there parameters to gather.
        for (var silo = 0; silo < 3; silo++)
        {
            await _cluster.Join(collector.Variables);
        }

        await _cluster.Silos[0].Client.Submit(Spec, UndisturbedRun.Job, TestContext.Current.CancellationToken);

        await collector.Has(Collector.Metrics, field: 1, "Microsoft.Orleans", "Dalle.Training", "dalle.training.update.duration", "dalle.training.sent", "dalle.training.epochs", "dalle.training.updates.skipped");
        await collector.Has(Collector.Traces, field: 5, "update", "compute", "reduce", "compress", "exchange", "vote", "commit", "gather");
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();
}
