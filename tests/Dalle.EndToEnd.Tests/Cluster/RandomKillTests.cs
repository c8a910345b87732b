using Dalle.Contracts.Training;
using Dalle.EndToEnd.Tests.Hosting;
using Dalle.EndToEnd.Tests.Training;

namespace Dalle.EndToEnd.Tests.Cluster;

/// <summary>Jobs on two to four silos that are killed or halted one after another, at any moment, and replaced. Takes minutes, so it runs only when it is asked for.</summary>
public sealed class RandomKillTests(ITestOutputHelper output) : IAsyncDisposable
{
    /// <summary>Silos lost in all.</summary>
    private const int Losses = 30;

    /// <summary>One loss in so many is a silo that halts, with its connections open.</summary>
    private const int HaltedOneIn = 5;

    private const int LeastSilos = 2, MostSilos = 4;

    private readonly SiloCluster _cluster = new();

    private static TrainingSpec Spec { get; } = UndisturbedRun.Spec with { Replicas = 2, Shards = 2, DiscreteVaeUpdates = 300, PriorUpdates = 300 };

    [Fact(Explicit = true)]
    public async Task Jobs_WhoseSilosAreKilledAtRandom_ComeToTheSameBytes_AndLoseNoUpdate()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");
        var random = new Random(seed);
        var expected = await UndisturbedRun.Of(Spec);
        await _cluster.Start(LeastSilos);

        for (var (lost, job) = (0, 1); lost < Losses; job++)
        {
            var id = $"job-{job}";
            await _cluster.Silos[0].Client.Submit(Spec, id, TestContext.Current.CancellationToken);
            var watching = new JobWatch(_cluster.Silos[0].Client, id);
            for (var goesOn = true; goesOn && lost < Losses;)
            {
                goesOn = await Progress(watching, random.Next(15));
                if (goesOn)
                {
                    lost++;
                    goesOn = await Lose(watching, random, $"Loss {lost}, in {id}");
                }
            }

            var events = await watching.End();
            JobWatch.AssertNeverBack(events);
            expected.AssertSame(_cluster.DataFolder, Path.Combine("models", Spec.Model, id));
            var placed = events.OfType<WorkersPlaced>().ToArray();
            var recoveries = placed.Skip(1).Select(next => next.Seconds).Order().ToArray();
            output.WriteLine($"{id} came to the same bytes, in {placed.Length} epochs; recovered in {recoveries[recoveries.Length / 2]:f2} s by median, {recoveries[^1]:f2} s at most.");
        }
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    /// <summary>Loses a silo and starts others in its place, before or after the job has got over it.</summary>
    /// <returns>False if the job has ended.</returns>
    private async Task<bool> Lose(JobWatch watching, Random random, string what)
    {
        // The first one has the store, without which the others cannot be.
        var silo = _cluster.Silos[random.Next(1, _cluster.Silos.Count)];
        var (signal, replacedAtOnce) = (random.Next(HaltedOneIn) == 0 ? Signal.Halt : Signal.Kill, random.Next(2) == 0);
        var silos = random.Next(LeastSilos, MostSilos + 1);
        output.WriteLine($"{what}: {signal} of one of {_cluster.Silos.Count} silos, {silos} after it{(replacedAtOnce ? ", at once" : "")}.");
        silo.Send(signal);
        var goesOn = true;
        if (signal == Signal.Halt)
        {
            // One that is ended at once would be no halted one.
            goesOn = await Progress(watching, random.Next(1, 10));
        }

        await _cluster.Remove(silo);
        goesOn = goesOn && (replacedAtOnce || await Progress(watching, random.Next(1, 10)));
        while (_cluster.Silos.Count < silos)
        {
            await _cluster.Join();
        }

        while (_cluster.Silos.Count > silos)
        {
            await _cluster.Remove(_cluster.Silos[^1]);
        }

        return goesOn;
    }

    /// <summary>Waits for so many updates.</summary>
    /// <returns>False if the job has ended.</returns>
    private static async Task<bool> Progress(JobWatch watching, int updates)
    {
        int? first = null;
        return await watching.TryUntil(next => next switch
        {
            DiscreteVaeStepCompleted done => done.Step >= (first ??= done.Step) + updates,
            PriorStepCompleted done => done.Step >= (first ??= done.Step) + updates,
            RerankerStepCompleted done => done.Step >= (first ??= done.Step) + updates,
            StageStarted started => started.FromStep < first,
            _ => false,
        }) is not null;
    }
}
