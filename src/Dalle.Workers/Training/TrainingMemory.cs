using System.Globalization;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;

namespace Dalle.Workers.Training;

/// <summary>Memory that training takes on a processor, known before any of it is taken: an operating system that runs out of it kills the whole silo.</summary>
internal static class TrainingMemory
{
    /// <summary>
    /// Bytes of the larger network in training: its weights, their average, the optimiser's two moments, and the gradients of each thread, all of 32 bit. Activations
    /// come on top.
    /// </summary>
    /// <param name="preset">The networks.</param>
    /// <param name="threads">The job's libtorch threads.</param>
    public static double Need(Preset preset, int threads) =>
        Math.Max(Count(DiscreteVae.Declare(preset.DiscreteVae)), Count(TransformerParameters.Declare(preset.Transformer))) * (4.0 + threads) * sizeof(float);

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

    private static long Count(IReadOnlyList<ParameterSpec> specs) => specs.Sum(spec => spec.Count);
}
