using System.Net;
using Dalle.Collectives.Compression;
using Dalle.Collectives.Groups;
using Dalle.Collectives.Sharding;
using Dalle.Collectives.Updates;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using static TorchSharp.torch;

namespace Dalle.Benchmarks.Training;

/// <summary>Trains a prior on scenes by the exchange that jobs train by, with replicas in one process: what compression of gradients between them costs in learning.</summary>
internal static class ReplicatedPrior
{
    /// <summary>What came of a course.</summary>
    /// <param name="First">Weighted loss of the first update.</param>
    /// <param name="Last">Mean weighted loss of the last tenth of the updates.</param>
    /// <param name="HeldOut">Weighted loss of the averaged weights on held-out samples.</param>
    /// <param name="Saved">The share of elements that compression saves among the matrices of resblocks.</param>
    public sealed record Course(double First, double Last, double HeldOut, double Saved);

    /// <param name="preset">Its prior, and how that is trained; in 32 bit.</param>
    /// <param name="tokens">To learn from.</param>
    /// <param name="updates">Length of the course.</param>
    /// <param name="replicas">Replicas that share every batch.</param>
    /// <param name="compression">How gradients are compressed between them.</param>
    public static Course Train(Preset preset, SceneTokens tokens, int updates, int replicas, CompressionSettings compression)
    {
        using var scope = NewDisposeScope();
        var training = preset.PriorTraining with { Updates = updates, Precision = Precision.Float32 };
        var plan = new ShardPlan(TransformerParameters.Declare(preset.Transformer), 1);
        using var trainer = new PriorTrainer(preset.Transformer, training, seed: 1, CPU, tokens.Codebook_KD, workers: replicas);
        var grid = new WorkerGrid(replicas, 1, [new(new("here", new(IPAddress.Loopback, 0)), 0, replicas, 0, 1)], own: 0);
        using var exchange = new GradientExchange(grid, new(plan, 0, 1), trainer, compression, seed: 1, new SoleProcess("here"), epoch: 1);
        var losses = new List<double>(updates);
        for (var step = 0; step < updates; step++)
        {
            using var update = NewDisposeScope();
            var (text_BT, image_BN) = tokens.Batch(step);
            var rows = training.BatchSize / replicas;
            using var workers = exchange.Begin(step, CancellationToken.None);
            var gradients = trainer.Gradients(
                [.. Enumerable.Range(0, replicas).Select(replica => (text_BT.narrow(0, replica * rows, rows), image_BN.narrow(0, replica * rows, rows)))], PredictedTokens.Of(text_BT, image_BN), workers);
            Ballot[] ballots = [.. gradients.Select(worker => new Ballot { Figures = [worker.Losses.Text, worker.Losses.Image] })];
            var verdict = exchange.Prepare(step, ballots, CancellationToken.None);
            exchange.Commit();
            losses.Add(trainer.Apply(step, verdict.Norm, new(verdict.Figures[0], verdict.Figures[1]), finite: null)!.Loss);
        }

        return new(
            losses[0],
            losses.TakeLast(updates / 10).Average(),
            trainer.Evaluate(tokens.HeldOut.Text_BT, tokens.HeldOut.Image_BN).Weighted(training.TextLossWeight),
            new CompressionPlan(plan.Shards[0], compression).SavedOfWeights);
    }
}
