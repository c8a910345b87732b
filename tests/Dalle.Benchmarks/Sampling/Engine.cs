using System.Diagnostics;
using System.Numerics.Tensors;
using Dalle.Model.Native;
using Dalle.Model.Parameters;
using Dalle.Model.Sampling;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Sampling;

/// <summary>
/// Sampling all image tokens of configuration T (d 256, 8 layers, 8 heads, 64 text and 256 image tokens, 1024 codes, the paper's masks) on two threads,
/// captions read anew each time: of one caption as the peer does it, of a caption for each picture, and the reading alone. Weights in 32, 16 and 8 bit.
/// </summary>
internal sealed class Engine : IBenchmark
{
    private const int Rounds = 6;

    // DALLE-pytorch 1.6.6 at batch 1 and 16, its cache repaired, full attention: with the paper's masks its cache does not work (8.7 s a picture).
    private static readonly (int Batch, double DallePytorch)[] Batches = [(1, 1.69), (16, 0.337)];

    private static readonly int[] Strangers = [8, 16];

    public string Name => "engine";

    public string Summary => "sampling a picture's tokens, seconds per picture in batches of one caption and of many, beside DALLE-pytorch; reading a caption for four pictures beside one";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        var memory = MemoryBandwidth();
        var caption = 0;
        foreach (var (precision, weights) in ((Precision, SamplingWeights)[])
            [(Precision.Float32, SamplingWeights.AsTrained), (Precision.BFloat16, SamplingWeights.AsTrained), (Precision.BFloat16, SamplingWeights.EightBit)])
        {
            using var parameters = new ParameterStore(Model.Prior.TransformerParameters.Declare(ConfigurationT.Prior), precision, CPU, trains: false);
            parameters.Initialize(seed: 1);
            using var sampler = new Sampler(ConfigurationT.Prior, parameters, weights: weights);
            var what = weights == SamplingWeights.EightBit ? "8 bit" : $"{precision}";
            var alone = 0.0;
            foreach (var (batch, peer) in Batches)
            {
                var seconds = Fastest(() => Sample(sampler, OfOneCaption(batch))) / batch;
                alone = batch == 1 ? seconds : alone;
                yield return new($"engine {batch} {what}", seconds, "s", peer, HigherIsBetter: false);
            }

            foreach (var batch in Strangers)
            {
                yield return new($"engine {batch} {what}, a caption each", Fastest(() => Sample(sampler, OfTheirOwn(batch))) / batch, "s", HigherIsBetter: false);
            }

            var one = Fastest(() => Read(sampler, OfOneCaption(1)));
            yield return new($"engine first token {what}", one * 1e3, "ms", HigherIsBetter: false);
            var bytes = weights == SamplingWeights.EightBit ? 1 : precision == Precision.BFloat16 ? 2 : 4;
            yield return new($"engine weights read at batch 1, {what}", Gigabytes(bytes) * (ConfigurationT.Prior.ImageLength - 1) / (alone - one), "GB/s", memory);
            yield return new($"engine first token of four {what}", Fastest(() => Read(sampler, OfOneCaption(4))) * 1e3, "ms", one * 1e3, HigherIsBetter: false);
        }

        SequenceRequest[] OfOneCaption(int count)
        {
            caption++;
            return [.. Enumerable.Range(0, count).Select(i => new SequenceRequest([1, 2, 3, 4, 5, 6, caption % 256, caption / 256], Seed: 1, i, new()))];
        }

        SequenceRequest[] OfTheirOwn(int count) => [.. Enumerable.Range(0, count).SelectMany(_ => OfOneCaption(1))];
    }

    /// <summary>Of the matrices that every token reads: queries, keys and values, output, the two of the MLP, in each layer, and the unembedding.</summary>
    private static double Gigabytes(int bytesOfAWeight)
    {
        var prior = ConfigurationT.Prior;
        return ((12.0 * prior.Width * prior.Width * prior.Layers) + (prior.Width * prior.ImageVocabulary)) * bytesOfAWeight / 1e9;
    }

    /// <summary>GB/s that two threads read of a gigabyte, far more than any cache holds.</summary>
    private static double MemoryBandwidth()
    {
        float[][] halves = [new float[125_000_000], new float[125_000_000]];
        Array.ForEach(halves, half => Array.Fill(half, 1f));
        return 1 / Fastest(() =>
        {
            var start = Stopwatch.GetTimestamp();
            Parallel.ForEach(halves, half => TensorPrimitives.Sum<float>(half));
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        });
    }

    private static double Fastest(Func<double> run) => Enumerable.Range(0, Rounds).Min(_ => run());

    private static double Sample(Sampler sampler, SequenceRequest[] requests)
    {
        var start = Stopwatch.GetTimestamp();
        sampler.SampleAll(requests);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Until every picture has its first token.</summary>
    private static double Read(Sampler sampler, SequenceRequest[] requests)
    {
        var start = Stopwatch.GetTimestamp();
        var sequences = requests.Select(request => sampler.TryAdmit(request)!).ToArray();
        while (Array.Exists(sequences, sequence => sequence.Position == 0))
        {
            sampler.Step();
        }

        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (var sequence in sequences)
        {
            sequence.Dispose();
        }

        return seconds;
    }
}
