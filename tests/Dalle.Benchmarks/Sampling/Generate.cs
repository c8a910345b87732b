using System.Diagnostics;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Prior;
using Dalle.Model.Sampling;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Sampling;

/// <summary>
/// Sampling all image tokens of configuration T (d 256, 8 layers, 8 heads, 64 text and 256 image tokens, 1024 codes, the paper's masks), captions read
/// anew each time, on two threads: pictures of one caption, and of a caption each.
/// </summary>
internal sealed class Generate : IBenchmark
{
    // DALLE-pytorch 1.6.6 at batch 1 and 16, its cache repaired, full attention: with the paper's masks its cache does not work (8.7 s a picture).
    private static readonly (int Batch, double DallePytorch)[] Batches = [(1, 1.69), (16, 0.337)];

    private static readonly int[] Strangers = [8, 16];

    public string Name => "generate";

    public string Summary => "sampling a picture's tokens, seconds per picture in batches of 1 and 16, of one caption and of many, beside DALLE-pytorch";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        var config = ConfigurationT.Prior;
        foreach (var precision in (Precision[])[Precision.Float32, Precision.BFloat16])
        {
            using var parameters = new ParameterStore(TransformerParameters.Declare(config), precision, CPU, trains: false);
            parameters.Initialize(seed: 1);
            using var sampler = new Sampler(config, parameters);
            foreach (var (batch, peer) in Batches)
            {
                var seconds = Enumerable.Range(0, 6).Min(i => Sample(sampler, batch, prompt: (100 * batch) + i));
                yield return new($"generate {batch} {precision}", seconds / batch, "s", peer, HigherIsBetter: false);
            }

            foreach (var batch in Strangers)
            {
                var seconds = Enumerable.Range(0, 6).Min(i => Sample(sampler, batch, prompt: (100 * batch) + i, own: true));
                yield return new($"generate {batch} {precision}, captions of their own", seconds / batch, "s", HigherIsBetter: false);
            }
        }
    }

    private static double Sample(Sampler sampler, int batch, int prompt, bool own = false)
    {
        var start = Stopwatch.GetTimestamp();
        sampler.SampleAll([.. Enumerable.Range(0, batch).Select(i => new SequenceRequest([1, 2, 3, 4, 5, 6, own ? i : 7, prompt], Seed: 1, i, new()))]);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
