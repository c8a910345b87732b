using Dalle.Contracts.Training;
using Dalle.Model.Presets;

namespace Dalle.Benchmarks.Cluster;

/// <summary>
/// Two silo processes train a job of two replicas; one is killed (SIGKILL), again and again. Measured is the time to the first update that was not done before, as a watcher is told of it, and
/// whether the watched step ever goes back.
/// </summary>
internal sealed class Recovery : IBenchmark
{
    private const int Kills = 12;

    /// <summary>torchelastic, tuned, on the machine of the notes.</summary>
    private const double Torchelastic = 2.6;

    public string Name => "recovery";

    public string Summary => "time from SIGKILL of one of two training silos to the next committed update, of 12 kills";

    public IEnumerable<Figure> Run()
    {
        foreach (var (name, rank) in ((string, int)[])[("compressed", 2), ("uncompressed", 0)])
        {
            var (times, lost) = Measure(rank).GetAwaiter().GetResult();
            times.Sort();
            yield return new($"recovery, {name}, median", times[times.Count / 2], "s", Torchelastic, HigherIsBetter: false);
            yield return new($"recovery, {name}, p95", times[(int)(0.95 * times.Count)], "s", HigherIsBetter: false);
            yield return new($"recovery, {name}, worst", times[^1], "s", HigherIsBetter: false);
            yield return new($"recovery, {name}, committed updates lost", lost, "updates", HigherIsBetter: false);
        }
    }

    private static async Task<(List<double> Seconds, int Lost)> Measure(int rank)
    {
        await using var silos = await Silos.Start(2);
        var spec = new TrainingSpec
        {
            Preset = "tiny", Dataset = "scenes", Model = "m", Replicas = 2, ThreadsPerWorker = 1, DiscreteVaeUpdates = 20, PriorUpdates = 1_000_000, CheckpointEvery = 1_000_000, CompressionRank = rank,
        };
        var job = await silos.Client.Submit(spec);
        await using var watch = new JobWatch(silos.Client.Watch(job));
        await watch.Until(next => next is PriorStepCompleted step && step.Step > Preset.Tiny.CompressionWarmUp);
        var (times, lost) = (new List<double>(), 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            // Somewhere between two snapshots.
            await watch.For(TimeSpan.FromSeconds(3) + (kill * TimeSpan.FromMilliseconds(137)));
            var seen = watch.Step;
            var killed = TimeProvider.System.GetUtcNow();
            silos.KillLast();
            await watch.Until(next => next is WorkersPlaced { Silos.Count: 1 });
            seen = Math.Max(seen, watch.Step);
            var next = (PriorStepCompleted)await watch.Until(next => next is PriorStepCompleted);
            times.Add((next.At - killed).TotalSeconds);
            lost += next.Step > seen ? 0 : seen - next.Step + 1;
            await silos.Add();
            await watch.Until(next => next is WorkersPlaced { Silos.Count: 2 });
        }

        return (times, lost);
    }
}
