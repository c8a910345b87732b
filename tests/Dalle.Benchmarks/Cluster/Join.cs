using Dalle.Contracts.Training;
using Dalle.Model.Presets;

namespace Dalle.Benchmarks.Cluster;

/// <summary>
/// A silo process trains a job of two replicas; another one joins, takes a replica over, leaves in good order, and a next one joins, again and again. Measured are the updates of the one
/// that is there all along, beside the median update right before each join, as a watcher is told of them.
/// </summary>
internal sealed class Join : IBenchmark
{
    private const int Joins = 6;

    /// <summary>An update may take so many times the median while a silo joins.</summary>
    private const double Aim = 1.5;

    /// <summary>Reports of updates that are waited for, a quarter of a second each.</summary>
    private const int Before = 32, After = 20;

    public string Name => "join";

    public string Summary => "the slowest update while a silo joins a training job, beside the median before, of 6 joins";

    public IEnumerable<Figure> Run()
    {
        foreach (var (name, rank) in ((string, int?)[])[("compressed", null), ("uncompressed", 0)])
        {
            var joins = Measure(rank).GetAwaiter().GetResult();
            yield return new($"join, {name}, update before", Median(joins, join => join.Update) * 1e3, "ms", HigherIsBetter: false);
            foreach (var (what, ratio) in ((string, Func<Measured, double>)[])
                [("while the newcomer starts", join => join.WhileItStarts), ("over the change of epoch", join => join.OverTheChange), ("after it", join => join.AfterIt)])
            {
                yield return new($"join, {name}, slowest {what}, median", Median(joins, ratio), "of the median before", Aim, HigherIsBetter: false);
                yield return new($"join, {name}, slowest {what}, worst", joins.Max(ratio), "of the median before", Aim, HigherIsBetter: false);
            }

            yield return new($"join, {name}, placing", Median(joins, join => join.Placing) * 1e3, "ms", HigherIsBetter: false);
        }
    }

    private static async Task<List<Measured>> Measure(int? rank)
    {
        await using var silos = await Silos.Start(1);
        var job = await silos.Client.Submit(new()
        {
            Preset = "tiny", Dataset = "scenes", Model = "m", Replicas = 2, ThreadsPerWorker = 1, DiscreteVaeUpdates = 20, PriorUpdates = 1_000_000, CheckpointEvery = 1_000_000, CompressionRank = rank,
        });
        await using var watch = new JobWatch(silos.Client.Watch(job));
        await watch.Until(next => next is PriorStepCompleted step && step.Step > Preset.Tiny.CompressionWarmUp);
        var joins = new List<Measured>();
        for (var join = 0; join < Joins; join++)
        {
            var before = new UpdateTimes();
            await watch.Until(_ => before.Count == Before, before.Observe);

            var meanwhile = new UpdateTimes();
            meanwhile.Observe(before.Last);
            var adding = silos.Add();
            var placed = (WorkersPlaced)await watch.Until(next => next is WorkersPlaced { Silos.Count: 2 }, meanwhile.Observe);
            await adding;

            var after = new UpdateTimes();
            await watch.Until(_ => after.Count == After, after.Observe);
            joins.Add(Measured.Of(before, meanwhile, placed, after));

            await silos.StopLast();
            await watch.Until(next => next is WorkersPlaced { Silos.Count: 1 });
            await watch.Until(next => next is PriorStepCompleted);
        }

        return joins;
    }

    private static double Median(List<Measured> joins, Func<Measured, double> figure) => joins.Select(figure).Order().ElementAt(joins.Count / 2);

    /// <summary>What was measured of a join.</summary>
    /// <param name="Update">Seconds of an update before.</param>
    /// <param name="WhileItStarts">The slowest update from the newcomer's start to the last that was reported without it, as a multiple of that.</param>
    /// <param name="OverTheChange">Likewise, the first update with it, from the end of the last without it on: stopping, placing, restoring and computing.</param>
    /// <param name="AfterIt">Likewise, the slowest of those that follow.</param>
    /// <param name="Placing">Seconds of it from the end of the old runs to the leases of the new ones.</param>
    private sealed record Measured(double Update, double WhileItStarts, double OverTheChange, double AfterIt, double Placing)
    {
        public static Measured Of(UpdateTimes before, UpdateTimes meanwhile, WorkersPlaced placed, UpdateTimes after)
        {
            // Of the last updates without the newcomer and the first ones with it there is no report, but of how many they were.
            var (old, next) = (before.Median, after.Median);
            var change = (after.First.At - meanwhile.Last.At).TotalSeconds - ((placed.FromStep - meanwhile.Last.Step) * old) - ((after.First.Step - placed.FromStep - 1) * next);
            return new(old, meanwhile.Slowest(old) / old, change / old, after.Slowest(next) / old, placed.Seconds);
        }
    }
}
