using System.Diagnostics;

namespace Dalle.Benchmarks.Serving;

/// <summary>
/// Configuration T served by a silo of its own process: one client after another beside the bare engine, over HTTP and by the .NET client; eight clients at once beside one; four candidates beside one;
/// and arrivals at random (Poisson, fixed seed) at seven tenths of what eight clients had.
/// </summary>
internal sealed class Serve : IBenchmark
{
    private const int UntilCompiled = 250, Alone = 24, Clients = 8, PerClient = 12;

    private static readonly TimeSpan Arrivals = TimeSpan.FromSeconds(30);

    public string Name => "serve";

    public string Summary => "pictures served over HTTP and to .NET clients: alone, eight at once, arriving at random, beside the bare engine";

    public IEnumerable<Figure> Run() => Measure().GetAwaiter().GetResult();

    /// <summary>The share that so much of a sorted list is below.</summary>
    internal static double Percentile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
    }

    private static async Task<List<Figure>> Measure()
    {
        var figures = new List<Figure>();
        await using var served = await ServedModel.Start();
        for (var i = 0; i < UntilCompiled; i++)
        {
            // Methods are compiled for good once they have been used for a while.
            (await served.Post(i)).EnsureSuccessStatusCode();
        }

        var (bare, http) = await InTurns(served);
        figures.Add(new("serve, bare engine", bare * 1e3, "ms a picture", HigherIsBetter: false));
        figures.Add(new("serve, over HTTP", http * 1e3, "ms a picture", bare * 1e3, HigherIsBetter: false));

        await InTurn(served, UntilCompiled / 4, firstSeed: 50_000);
        var alone = await InTurn(served, Alone, firstSeed: 200);
        var aloneRate = Rate(alone.Sessions, alone.Seconds);
        var aloneToken = Percentile(alone.Sessions.SelectMany(session => session.BetweenTokens), 0.99);
        var eight = await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => InTurn(served, PerClient, firstSeed: 1000 * (client + 1))));
        var all = eight.SelectMany(client => client.Sessions).ToList();
        var rate = Rate(all, eight.Max(client => client.Seconds));
        figures.Add(new("serve, one client", aloneRate, "tokens/s"));
        figures.Add(new("serve, eight clients", rate, "tokens/s", aloneRate));
        figures.Add(new("serve, one client, token to token p99", aloneToken * 1e3, "ms", HigherIsBetter: false));
        figures.Add(new("serve, eight clients, token to token p99", Percentile(all.SelectMany(session => session.BetweenTokens), 0.99) * 1e3, "ms", aloneToken * 1e3, HigherIsBetter: false));

        var (one, four) = (new List<double>(), new List<double>());
        for (var i = 0; i < Alone; i++)
        {
            one.Add((await TimedSession.Run(served.Client, ServedModel.Request(20_000 + (2 * i)))).FirstRow);
            four.Add((await TimedSession.Run(served.Client, ServedModel.Request(20_001 + (2 * i), candidates: 4))).FirstRow);
        }

        figures.Add(new("serve, four candidates, first row", Percentile(four, 0.5) * 1e3, "ms", Percentile(one, 0.5) * 1e3, HigherIsBetter: false));
        figures.AddRange(await AtRandom(served, perSecond: 0.7 * rate / ServedModel.Preset.Transformer.ImageLength));
        return figures;
    }

    /// <summary>Pictures from the bare engine, in this process, and over HTTP, in turns, so that both have the same machine: the medians, in seconds.</summary>
    private static async Task<(double Bare, double Http)> InTurns(ServedModel served)
    {
        using var engine = new BareEngine(ServedModel.Preset);
        var (bare, http) = (new List<double>(), new List<double>());
        for (var i = -Alone; i < Alone; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            engine.Draw(i + Alone);
            var drawn = Stopwatch.GetTimestamp();
            (await served.Post(10_000 + i)).EnsureSuccessStatusCode();
            if (i >= 0)
            {
                bare.Add(Stopwatch.GetElapsedTime(begun, drawn).TotalSeconds);
                http.Add(Stopwatch.GetElapsedTime(drawn).TotalSeconds);
            }
        }

        return (Percentile(bare, 0.5), Percentile(http, 0.5));
    }

    private static async Task<List<Figure>> AtRandom(ServedModel served, double perSecond)
    {
        var random = new Random(7);
        var sessions = new List<Task<TimedSession?>>();
        var begun = Stopwatch.GetTimestamp();
        for (var next = 0.0; next < Arrivals.TotalSeconds; next -= Math.Log(1 - random.NextDouble()) / perSecond)
        {
            var wait = TimeSpan.FromSeconds(next) - Stopwatch.GetElapsedTime(begun);
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait);
            }

            sessions.Add(TimedSession.TryRun(served.Client, ServedModel.Request(30_000 + sessions.Count)));
        }

        var done = (await Task.WhenAll(sessions)).OfType<TimedSession>().ToList();
        var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        var figures = new List<Figure>
        {
            new("serve at random, offered", perSecond, "pictures/s"),
            new("serve at random, completed", done.Count, "pictures"),
            new("serve at random, refused", sessions.Count - done.Count, "pictures", HigherIsBetter: false),
            new("serve at random, goodput", Rate(done, seconds), "tokens/s"),
        };
        foreach (var share in (double[])[0.5, 0.95, 0.99])
        {
            figures.Add(new($"serve at random, first row p{100 * share:0}", Percentile(done.Select(session => session.FirstRow), share) * 1e3, "ms", HigherIsBetter: false));
            figures.Add(new($"serve at random, token to token p{100 * share:0}", Percentile(done.SelectMany(session => session.BetweenTokens), share) * 1e3, "ms", HigherIsBetter: false));
            figures.Add(new($"serve at random, whole p{100 * share:0}", Percentile(done.Select(session => session.Whole), share) * 1e3, "ms", HigherIsBetter: false));
        }

        return figures;
    }

    private static async Task<(List<TimedSession> Sessions, double Seconds)> InTurn(ServedModel served, int count, int firstSeed)
    {
        var begun = Stopwatch.GetTimestamp();
        var sessions = new List<TimedSession>();
        for (var i = 0; i < count; i++)
        {
            sessions.Add(await TimedSession.Run(served.Client, ServedModel.Request(firstSeed + i)));
        }

        return (sessions, Stopwatch.GetElapsedTime(begun).TotalSeconds);
    }

    private static double Rate(IEnumerable<TimedSession> sessions, double seconds) => sessions.Sum(session => session.Tokens) / seconds;
}
