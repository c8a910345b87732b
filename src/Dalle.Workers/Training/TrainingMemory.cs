using System.Globalization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Training;

namespace Dalle.Workers.Training;

/// <summary>Memory that training takes on a processor, known before any of it is taken: an operating system that runs out of it kills the whole silo.</summary>
internal static class TrainingMemory
{
    /// <summary>
    /// Bytes of the larger network in training: its weights, their average, the optimiser's two moments, and the gradients of each thread, all of 32 bit but for moments that the preset keeps
    /// in 16. Activations come on top.
    /// </summary>
    /// <param name="preset">The networks.</param>
    /// <param name="threads">The job's libtorch threads.</param>
    public static double Need(Preset preset, int threads) =>
        Math.Max(
            Need(DiscreteVae.Declare(preset.DiscreteVae), preset.DiscreteVaeTraining.Optimizer, threads),
            Need(TransformerParameters.Declare(preset.Transformer), preset.PriorTraining.Optimizer, threads));

    /// <summary>Lets a preset through that may fit.</summary>
    /// <param name="preset">The networks.</param>
    /// <param name="threads">The job's libtorch threads.</param>
    /// <param name="available">Bytes that the machine gives this process.</param>
    /// <exception cref="InvalidDataException">It does not.</exception>
    public static void Require(Preset preset, int threads, long available)
    {
        if (Need(preset, threads) is var need && need > available)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"Preset '{preset.Name}' needs at least {need / 1e9:0.0} GB of memory to train on {threads} threads, and there are {available / 1e9:0.0} GB here. Choose a smaller preset or a larger machine."));
        }
    }

    private static double Need(IReadOnlyList<ParameterSpec> specs, AdamWConfig optimizer, int threads)
    {
        var coded = optimizer.Moments == MomentFormat.Paper16 ? specs.Where(spec => spec.Kind == ParameterKind.Weight).Sum(spec => spec.Count) : 0;
        return (specs.Sum(spec => spec.Count) * (4.0 + threads) * sizeof(float)) - (2.0 * coded * (sizeof(float) - sizeof(short)));
    }
}
