using System.Diagnostics;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Serving;

/// <summary>
/// Configuration T served by a silo of its own process: one client after another beside the bare engine, over HTTP and by the .NET client; eight clients at once beside one; four candidates beside one;
/// and arrivals at random (Poisson, fixed seed) at seven tenths of what eight clients had.
/// </summary>
internal sealed class Serve : IBenchmark
{
    private const int Alone = 24, Clients = 8, PerClient = 6;

    private static readonly TimeSpan Arrivals = TimeSpan.FromSeconds(30);

    public string Name => "serve";

    public string Summary => "pictures served over HTTP and to .NET clients: alone, eight at once, arriving at random, beside the bare engine";

    public IEnumerable<Figure> Run()
    {
        var bare = Bare();
        yield return new("serve, bare engine", bare * 1e3, "ms a picture", HigherIsBetter: false);
        foreach (var figure in Measure(bare).GetAwaiter().GetResult())
        {
            yield return figure;
        }
    }

    /// <summary>The share that so much of a sorted list is below.</summary>
    internal static double Percentile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
    }

    /// <summary>Tokens of a picture and the picture itself, in this process.</summary>
    private static double Bare()
    {
        TorchRuntime.UseThreads(2);
        var preset = ServedModel.Preset;
        using var prior = new ParameterStore(TransformerParameters.Declare(preset.Transformer), Precision.BFloat16, CPU, trains: false);
        using var codec = new ParameterStore(Model.DiscreteVae.DiscreteVae.Declare(preset.DiscreteVae), Precision.Float32, CPU, trains: false);
        prior.Initialize(seed: 1);
        codec.Initialize(seed: 1);
        var vae = new Model.DiscreteVae.DiscreteVae(preset.DiscreteVae, codec);
        using var sampler = new Sampler(preset.Transformer, prior);
        return Percentile(Enumerable.Range(0, Alone).Select(i =>
        {
            using var scope = NewDisposeScope();
            var begun = Stopwatch.GetTimestamp();
            var tokens = sampler.SampleAll([new([1, 2, 3, 4, 5, i], (ulong)i, 0, new())])[0];
            vae.Decode(tensor(tokens.Select(token => (long)token).ToArray(), [1, 16, 16]));
            return Stopwatch.GetElapsedTime(begun).TotalSeconds;
        }), 0.5);
    }

    private static async Task<List<Figure>> Measure(double bare)
    {
        var figures = new List<Figure>();
        await using var served = await ServedModel.Start();
        for (var i = 0; i < Alone; i++)
        {
            // Methods are compiled for good once they have been used for a while.
            await served.Post(i);
        }

        var http = new List<double>();
        for (var i = 0; i < Alone; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            (await served.Post(100 + i)).EnsureSuccessStatusCode();
            http.Add(Stopwatch.GetElapsedTime(begun).TotalSeconds);
        }

        figures.Add(new("serve, over HTTP", Percentile(http, 0.5) * 1e3, "ms a picture", bare * 1e3, HigherIsBetter: false));

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
        for (var i = 0; i < 12; i++)
        {
            one.Add((await TimedSession.Run(served.Client, ServedModel.Request(20_000 + (2 * i)))).FirstRow);
            four.Add((await TimedSession.Run(served.Client, ServedModel.Request(20_001 + (2 * i), candidates: 4))).FirstRow);
        }

        figures.Add(new("serve, four candidates, first row", Percentile(four, 0.5) * 1e3, "ms", Percentile(one, 0.5) * 1e3, HigherIsBetter: false));
        figures.AddRange(await AtRandom(served, perSecond: 0.7 * rate / ServedModel.Preset.Transformer.ImageLength));
        return figures;
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
