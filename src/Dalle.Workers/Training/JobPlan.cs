using Dalle.Contracts.Training;
using Dalle.Model.DiscreteVae;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Reranking;

namespace Dalle.Workers.Training;

/// <summary>
/// What a job is held to from its first stage on, wherever and however late it goes on: a later version of this program may know its preset by other numbers, a
/// worker may have another processor, and its dataset may have been imported anew.
/// </summary>
internal sealed record JobPlan
{
    /// <summary>Name of its file in the job's folder.</summary>
    public const string FileName = "job.json";

    /// <summary>The preset's numbers as they were.</summary>
    public required Preset Preset { get; init; }

    /// <summary>What a 16-bit preset computes in: 16 bit only if the device of the first stage does so by itself.</summary>
    public required Precision HalfPrecision { get; init; }

    /// <summary>Fingerprint of the dataset; null if any will do, as for a job of a version that kept no plan.</summary>
    public required string? DatasetFingerprint { get; init; }

    /// <summary>How the discrete VAE is trained: the preset's way, with the job's number of updates and precision.</summary>
    public DiscreteVaeTraining DiscreteVaeTraining(TrainingSpec spec) =>
        (spec.DiscreteVaeUpdates is { } updates ? Preset.DiscreteVaeTraining.WithUpdates(updates) : Preset.DiscreteVaeTraining) with
        {
            Precision = OfJob(Preset.DiscreteVaeTraining.Precision),
        };

    /// <summary>How the prior is trained.</summary>
    public PriorTraining PriorTraining(TrainingSpec spec) => Preset.PriorTraining with
    {
        Updates = spec.PriorUpdates ?? Preset.PriorTraining.Updates,
        Precision = OfJob(Preset.PriorTraining.Precision),
    };

    /// <summary>How the reranker is trained; null where none is: the job is not to, or its preset has none.</summary>
    public RerankerTraining? RerankerTraining(TrainingSpec spec) => Preset is not { Reranker: not null, RerankerTraining: { } training } || spec.RerankerUpdates == 0 ? null
        : (spec.RerankerUpdates is { } updates ? training.WithUpdates(updates) : training) with { Precision = OfJob(training.Precision) };

    private Precision OfJob(Precision ofPreset) => ofPreset == Precision.Float32 ? ofPreset : HalfPrecision;
}
