using Dalle.Model.Native;
using Dalle.Model.Presets;

namespace Dalle.Benchmarks.Training;

/// <summary>
/// The quickstart's prior learns scenes in two replicas: compressed as its preset says, from the first update on, and at a rank that saves more. The peer is the same course uncompressed:
/// the same seed, the same batches. How far two courses of the same mathematics come apart is seen from an uncompressed one whose sums are made in another order, in one replica.
/// </summary>
internal sealed class Convergence : IBenchmark
{
    private const int Updates = 1_500, DiscreteVaeUpdates = 500, Replicas = 2, LowRank = 12;

    /// <summary>Per cent that a loss may be above the uncompressed one.</summary>
    private const double Aim = 1;

    public string Name => "convergence";

    public string Summary => "losses of the quickstart's prior after 1,500 updates with compressed gradients, beside uncompressed ones";

    public IEnumerable<Figure> Run()
    {
        TorchRuntime.UseThreads(2);
        using var tokens = new SceneTokens(Preset.Tiny, Updates * Preset.Tiny.PriorTraining.BatchSize, DiscreteVaeUpdates);
        var plain = ReplicatedPrior.Train(Preset.Tiny, tokens, Updates, Replicas, new(Rank: 0));
        yield return new("convergence, uncompressed, first update", plain.First, "nats/token", HigherIsBetter: false);
        var reordered = ReplicatedPrior.Train(Preset.Tiny, tokens, Updates, replicas: 1, new(Rank: 0));
        yield return new("convergence, uncompressed in one replica, last tenth of the updates", Above(reordered.Last, plain.Last), "% above", Aim, HigherIsBetter: false);
        yield return new("convergence, uncompressed in one replica, held out", Above(reordered.HeldOut, plain.HeldOut), "% above", Aim, HigherIsBetter: false);
        foreach (var (rank, warmUp) in ((int, int)[])[(Preset.Tiny.CompressionRank, Preset.Tiny.CompressionWarmUp), (Preset.Tiny.CompressionRank, 0), (LowRank, Preset.Tiny.CompressionWarmUp)])
        {
            var course = ReplicatedPrior.Train(Preset.Tiny, tokens, Updates, Replicas, new(rank, WarmUp: warmUp));
            var name = $"convergence, rank {rank} after {warmUp}";
            yield return new($"{name}, saved of resblocks' matrices", 100 * course.Saved, "%");
            yield return new($"{name}, last tenth of the updates", course.Last, "nats/token", plain.Last, HigherIsBetter: false);
            yield return new($"{name}, last tenth of the updates", Above(course.Last, plain.Last), "% above", Aim, HigherIsBetter: false);
            yield return new($"{name}, held out", course.HeldOut, "nats/token", plain.HeldOut, HigherIsBetter: false);
            yield return new($"{name}, held out", Above(course.HeldOut, plain.HeldOut), "% above", Aim, HigherIsBetter: false);
        }
    }

    private static double Above(double loss, double plain) => 100 * ((loss / plain) - 1);
}
