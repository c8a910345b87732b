using System.Diagnostics;
using System.Net;

namespace Dalle.Benchmarks.Serving;

/// <summary>Ten times as many requests as the silo can serve, for a minute, over HTTP: each is drawn or refused, and memory stays.</summary>
internal sealed class Overload : IBenchmark
{
    private const int AtPeak = 64, PicturesAtPeak = 256, TimesTooMany = 10;

    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(60);

    public string Name => "overload";

    public string Summary => "ten times the load that a silo can serve, for a minute: goodput, memory, and what becomes of each request";

    public IEnumerable<Figure> Run() => Measure().GetAwaiter().GetResult();

    private static async Task<List<Figure>> Measure()
    {
        await using var served = await ServedModel.Start();
        await DrawAtPeak(served);
        var begun = Stopwatch.GetTimestamp();
        await DrawAtPeak(served);
        var peak = PicturesAtPeak / Stopwatch.GetElapsedTime(begun).TotalSeconds;

        var requests = new List<Task<(HttpStatusCode Status, double Seconds)>>();
        var memory = new List<long> { served.ResidentBytes() };
        begun = Stopwatch.GetTimestamp();
        for (var elapsed = TimeSpan.Zero; elapsed < Duration; elapsed = Stopwatch.GetElapsedTime(begun))
        {
            while (requests.Count < elapsed.TotalSeconds * peak * TimesTooMany)
            {
                requests.Add(Ask(served, 1000 + requests.Count));
            }

            if (elapsed.TotalSeconds > 10 * memory.Count)
            {
                memory.Add(served.ResidentBytes());
            }

            await Task.Delay(5);
        }

        var answers = await Task.WhenAll(requests);
        var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        var (drawn, refused) = (answers.Count(answer => answer.Status == HttpStatusCode.OK), answers.Where(answer => answer.Status == HttpStatusCode.TooManyRequests).ToArray());
        return
        [
            new("overload, peak", peak, "pictures/s"),
            new("overload, goodput", drawn / seconds, "pictures/s", peak),
            new("overload, offered", answers.Length / Duration.TotalSeconds, "requests/s"),
            new("overload, drawn", drawn, "requests"),
            new("overload, refused", refused.Length, "requests"),
            new("overload, neither", answers.Length - drawn - refused.Length, "requests", HigherIsBetter: false),
            new("overload, refusal p50", refused.Length == 0 ? 0 : Serve.Percentile(refused.Select(answer => answer.Seconds), 0.5) * 1e3, "ms", 10, HigherIsBetter: false),
            new("overload, memory after 30 s", memory[3] / 1e6, "MB", HigherIsBetter: false),
            new("overload, memory at the end", served.ResidentBytes() / 1e6, "MB", memory[3] / 1e6, HigherIsBetter: false),
        ];
    }

    /// <summary>As many at once as keep the sampler full. Methods are compiled for good once this has run for a while.</summary>
    private static Task DrawAtPeak(ServedModel served) => Parallel.ForAsync(
        0, PicturesAtPeak, new ParallelOptions { MaxDegreeOfParallelism = AtPeak }, async (i, _) => (await served.Post(i)).EnsureSuccessStatusCode());

    private static async Task<(HttpStatusCode Status, double Seconds)> Ask(ServedModel served, int seed)
    {
        var begun = Stopwatch.GetTimestamp();
        try
        {
            using var response = await served.Post(seed);
            return (response.StatusCode, Stopwatch.GetElapsedTime(begun).TotalSeconds);
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            return (0, Stopwatch.GetElapsedTime(begun).TotalSeconds);
        }
    }
}
