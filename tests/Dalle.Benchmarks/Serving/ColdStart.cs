using System.Diagnostics;

namespace Dalle.Benchmarks.Serving;

/// <summary>From the start of a silo's process, with a published model of configuration T, to the first row of a picture; three times.</summary>
internal sealed class ColdStart : IBenchmark
{
    private const double Aim = 5;

    public string Name => "coldstart";

    public string Summary => "from the start of a silo with a published model to the first tokens";

    public IEnumerable<Figure> Run()
    {
        yield return new("coldstart", Measure().GetAwaiter().GetResult(), "s", Aim, HigherIsBetter: false);
    }

    private static async Task<double> Measure()
    {
        await using var served = await ServedModel.Start();
        var times = new List<double>();
        for (var i = 0; i < 3; i++)
        {
            var begun = Stopwatch.GetTimestamp();
            await served.StartAgain();
            var ready = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            times.Add(ready + (await TimedSession.Run(served.Client, ServedModel.Request(i))).FirstRow);
        }

        return Serve.Percentile(times, 0.5);
    }
}
