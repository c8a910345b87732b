using System.Globalization;
using Dalle.Contracts.Training;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;
using Dalle.Model.Training;

namespace Dalle.Workers.Training;

/// <summary>Memory that training takes on a processor, known before any of it is taken: an operating system that runs out of it kills the whole silo.</summary>
internal static class TrainingMemory
{
    /// <summary>Bytes that the machine gives this process.</summary>
    public static long Available() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>
    /// Bytes of a network in training: of the rows that a silo holds the weights, their average, the optimiser's two moments and a gradient, all of 32 bit but for moments that the preset keeps
    /// in 16; and whole arrays with a gradient of each thread of each worker. A silo that holds all rows has the latter of all arrays; else the prior has two resblocks whole at a time.
    /// Activations come on top, and of several workers on a silo what they keep apart.
    /// </summary>
    /// <param name="preset">The networks.</param>
    /// <param name="stage">Which of them; a reranker takes nothing where the preset has none.</param>
    /// <param name="threads">The job's libtorch threads.</param>
    /// <param name="shards">Ordinals of a replica.</param>
    /// <param name="ordinals">Those of them that the silo has.</param>
    public static double Need(Preset preset, TrainingStage stage, int threads, int shards = 1, int ordinals = 1)
    {
        var (specs, moments) = stage switch
        {
            TrainingStage.Prior => (TransformerParameters.Declare(preset.Transformer), preset.PriorTraining.Optimizer.Moments),
            TrainingStage.Reranker when preset is { Reranker: { } reranker, RerankerTraining: { } training } => (RerankerParameters.Declare(reranker), training.Optimizer.Moments),
            TrainingStage.DiscreteVae => (DiscreteVae.Declare(preset.DiscreteVae), preset.DiscreteVaeTraining.Optimizer.Moments),
            _ => ([], MomentFormat.Float32),
        };
        var count = specs.Sum(spec => spec.Count);
        var coded = moments == MomentFormat.Paper16 ? specs.Where(spec => spec.Kind == ParameterKind.Weight).Sum(spec => spec.Count) : 0;
        var state = (4.0 * count * sizeof(float)) - (2.0 * coded * (sizeof(float) - sizeof(short)));
        if (ordinals == shards)
        {
            return state + ((double)count * threads * sizeof(float));
        }

        var whole = stage == TrainingStage.Prior ? count - ((preset.Transformer.Layers - 1) * OfALayer(specs)) : count;
        return ((state + (count * sizeof(float))) * ordinals / shards) + ((double)whole * (1 + (threads * ordinals)) * sizeof(float));
    }

    /// <summary>Lets a network through that may fit.</summary>
    /// <param name="preset">The networks.</param>
    /// <param name="stage">Which of them.</param>
    /// <param name="threads">The job's libtorch threads.</param>
    /// <param name="shards">Ordinals of a replica.</param>
    /// <param name="ordinals">Those of them that the silo has.</param>
    /// <param name="available">Bytes that the machine gives this process.</param>
    /// <exception cref="InvalidDataException">It does not.</exception>
    public static void Require(Preset preset, TrainingStage stage, int threads, int shards, int ordinals, long available)
    {
        if (Need(preset, stage, threads, shards, ordinals) is var need && need > available)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"Preset '{preset.Name}' needs at least {need / 1e9:0.0} GB of memory to train {ordinals} of {shards} shards on {threads} threads, and there are {available / 1e9:0.0} GB here. Choose a smaller preset or a larger machine, or more shards and a silo for each."));
        }
    }

    private static long OfALayer(IReadOnlyList<ParameterSpec> specs) =>
        specs.Where(spec => spec.Name.StartsWith(TransformerParameters.Layer(0), StringComparison.Ordinal)).Sum(spec => spec.Count);
}
