using System.Diagnostics;
using Dalle.Contracts.Cluster;
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

    [Fact]
    public async Task Trace_OfAnHttpRequest_GoesOnInTheGrainsThatItCalls()
    {
        await using var collector = await Collector.Start();
        await _cluster.Join(collector.Variables);
        await _cluster.Join(collector.Variables);
        var trace = ActivityTraceId.CreateRandom();

        // Either silo may have the catalog, so from one of them the trace goes on at the other.
        foreach (var card in _cluster.DataFolders.Select(folder => SiloCard.Read(folder)!))
        {
            using var http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null });
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(new Uri(card.Http), "/v1/models"));
            request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");
            (await http.SendAsync(request, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
        }

        await collector.HasSpans(trace, "GET /v1/models/", "IModelCatalogGrain/List");
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();
}
