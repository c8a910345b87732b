using System.Diagnostics;
using Dalle.Contracts.Training;

namespace Dalle.Benchmarks.Cluster;

/// <summary>
/// Two silo processes train with all cores busy and uncompressed gradients moving between them. Grains must go on answering: the time of a call that asks a grain on each silo, beside the same
/// with nothing to do. And no silo may be taken for dead.
/// </summary>
internal sealed class Calm : IBenchmark
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(20), Busy = TimeSpan.FromMinutes(10);

    public string Name => "calm";

    public string Summary => "grain calls while two silos train with all cores busy for ten minutes, and silos falsely taken for dead";

    public IEnumerable<Figure> Run()
    {
        var (idle, busy, deaths, sent) = Measure().GetAwaiter().GetResult();
        yield return new("calm, median of a call", Percentile(busy, 0.5), "ms", Percentile(idle, 0.5), HigherIsBetter: false);
        yield return new("calm, p99 of a call", Percentile(busy, 0.99), "ms", Percentile(idle, 0.99), HigherIsBetter: false);
        yield return new("calm, false verdicts", deaths, "silos", HigherIsBetter: false);
        yield return new("calm, updates meanwhile", sent, "updates");
    }

    private static async Task<(List<double> Idle, List<double> Busy, int Deaths, int Updates)> Measure()
    {
        await using var silos = await Silos.Start(2);
        await Ping(silos, TimeSpan.FromSeconds(3));
        var idle = await Ping(silos, Idle);
        var job = await silos.Client.Submit(new()
        {
            Preset = "tiny", Dataset = "scenes", Model = "m", Replicas = 2, ThreadsPerWorker = 1, DiscreteVaeUpdates = 20, PriorUpdates = 1_000_000, CheckpointEvery = 1_000_000, CompressionRank = 0,
        });
        await using var watch = new JobWatch(silos.Client.Watch(job));
        await watch.Until(next => next is PriorStepCompleted);
        var deaths = 0;
        var watching = watch.Until(next =>
        {
            deaths += next is WorkersPlaced ? 1 : 0;
            return next is PhaseChanged;
        });
        var busy = await Ping(silos, Busy);
        var updates = watch.Step;
        await silos.Client.Cancel(job);
        await watching;
        return (idle, busy, deaths, updates);
    }

    private static async Task<List<double>> Ping(Silos silos, TimeSpan time)
    {
        var times = new List<double>();
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < time;)
        {
            var asked = Stopwatch.GetTimestamp();
            await silos.Client.ListSilos();
            times.Add(Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
            await Task.Delay(20);
        }

        return times;
    }

    private static double Percentile(List<double> times, double share) => times.Order().ElementAt((int)(share * times.Count));
}
