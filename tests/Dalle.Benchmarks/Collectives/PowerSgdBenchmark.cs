using System.Diagnostics;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Sharding;
using Dalle.Model.Native;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Collectives;

/// <summary>
/// One update of gradient compression, from gradients to mean gradients, at rank 4 over the prior of configuration T, one replica, two threads. The peer is PyTorch's hook, alone in a
/// gloo group, with the same matrices to compress and as many other numbers to pass on.
/// </summary>
internal sealed class PowerSgdBenchmark : IBenchmark
{
    private const int Rank = 4, WarmUp = 5, Timed = 40, Rounds = 3;

    public string Name => "powersgd";

    public string Summary => "compressing and decompressing the gradients of the prior of configuration T at rank 4, ms, beside PyTorch's PowerSGD hook";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        using var scope = NewDisposeScope();
        var plan = new CompressionPlan(new ShardPlan(TransformerParameters.Declare(ConfigurationT.Prior), 1).Shards[0], new(Rank));
        using var compression = new PowerSgd(plan, replicas: 1, seed: 1, CPU);
        using var generator = new Generator(1, CPU);
        var (gradient_N, mean_N) = (randn(plan.Shard.Count, generator: generator), zeros(plan.Shard.Count));
        string[] arguments = [$"{Rank}", .. plan.Compressed.Select(piece => string.Join('x', piece.Slice.Shape)), $"{plan.UncompressedCount}"];

        // In turns, so that both meet the same noise.
        var (own, peer) = (double.PositiveInfinity, (double?)null);
        for (var round = 0; round < Rounds; round++)
        {
            own = Math.Min(own, Fastest(compression, gradient_N, mean_N));
            peer = PeerScript.Measure("powersgd.py", arguments) is { } time ? Math.Min(time, peer ?? time) : null;
        }

        yield return new("powersgd", own * 1e3, "ms", peer, HigherIsBetter: false);
        yield return new("powersgd parameters", plan.Shard.Count / 1e6, "million");
        yield return new("powersgd compressed", plan.CompressedCount / 1e6, "million");
    }

    private static double Fastest(PowerSgd compression, Tensor gradient_N, Tensor mean_N)
    {
        var fastest = double.PositiveInfinity;
        for (var i = 0; i < WarmUp + Timed; i++)
        {
            var start = Stopwatch.GetTimestamp();
            compression.Accumulate(0, gradient_N);
            compression.Project(i);
            compression.Factor();
            compression.SquaredNorm();
            compression.Commit(mean_N);
            fastest = i < WarmUp ? fastest : Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return fastest;
    }
}
