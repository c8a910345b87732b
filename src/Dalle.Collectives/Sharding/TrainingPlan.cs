using Dalle.Collectives.Compression;
using Dalle.Model.Parameters;
using Dalle.Model.Presets;
using Dalle.Model.Prior;
using Dalle.Model.Training;

namespace Dalle.Collectives.Sharding;

/// <summary>What training a preset's prior takes: memory of a device and bytes between machines. Arithmetic over declared shapes; nothing is allocated.</summary>
/// <remarks>Every silo is a machine with one replica, whose parameters its devices share out (paper, section 2.4).</remarks>
public sealed class TrainingPlan
{
    private const int Half = 2, Single = 4;

    private readonly IReadOnlyList<ParameterSpec> _specs;

    /// <param name="preset">The model.</param>
    /// <param name="silos">Number of machines, at least 1.</param>
    /// <param name="devices">Devices of each, at least 1.</param>
    /// <param name="rank">Compression rank; null for the preset's.</param>
    /// <param name="errorFormat">The format of error buffers.</param>
    /// <exception cref="ArgumentException">There are no silos or devices, or the rank is negative.</exception>
    public TrainingPlan(Preset preset, int silos, int devices, int? rank = null, ErrorFormat errorFormat = ErrorFormat.Float32)
    {
        if (silos < 1)
        {
            throw new ArgumentException($"Expected at least one silo, got {silos}.", nameof(silos));
        }

        (Preset, Silos, Devices, Rank) = (preset, silos, devices, rank ?? preset.CompressionRank);
        _specs = TransformerParameters.Declare(preset.Transformer);
        Shards = [.. new ShardPlan(_specs, devices).Shards.Select(shard => new CompressionPlan(shard, new(Rank, ErrorFormat: errorFormat)))];
    }

    public Preset Preset { get; }

    /// <summary>Machines, each with a replica.</summary>
    public int Silos { get; }

    /// <summary>Devices of a machine: ordinals that share out the parameters.</summary>
    public int Devices { get; }

    /// <summary>Rank that gradients are compressed to.</summary>
    public int Rank { get; }

    /// <summary>What each ordinal holds and sends.</summary>
    public IReadOnlyList<CompressionPlan> Shards { get; }

    /// <summary>Parameters in all.</summary>
    public long Parameters => Shards.Sum(plan => plan.Shard.Count);

    /// <summary>Bytes that one machine sends to others in one update, all its devices together, if all-reduces go round in a ring: each number 2 (R - 1) / R times.</summary>
    public long BytesSent => InARing(Shards.Sum(plan => plan.BytesPerUpdate));

    /// <summary>The same without compression.</summary>
    public long UncompressedBytesSent => InARing(Shards.Sum(plan => plan.UncompressedBytesPerUpdate));

    /// <summary>The share of <see cref="UncompressedBytesSent"/> that compression saves.</summary>
    public double Saved => 1 - ((double)Shards.Sum(plan => plan.BytesPerUpdate) / Shards.Sum(plan => plan.UncompressedBytesPerUpdate));

    /// <summary>
    /// The saving as the paper's formula has it, counted over this plan's slices: factors of one device's resblock matrices, whether they pay or not, beside the gradients of the
    /// matrices of all devices. It counts sharding as a saving too, which alone is 1 - 1 / m. The formula takes query, key and value for three matrices, and every matrix for split
    /// along its longer side; here they are one, and all are split by rows.
    /// </summary>
    public double SavedBesideWholeGradients
    {
        get
        {
            var slices = Shards.MaxBy(plan => plan.Shard.Count)!.Shard.Slices.Where(slice => slice.Kind == ParameterKind.Weight);
            return 1 - ((double)slices.Sum(slice => Rank * (slice.Rows + slice.RowLength)) / _specs.Where(spec => spec.Kind == ParameterKind.Weight).Sum(spec => spec.Count));
        }
    }

    /// <summary>The saving by the paper's formula, 1 - r (m + 2) / (2 d m): at 8 shards 1 - 5 r / (8 d).</summary>
    public double SavedByThePapersFormula => PapersFormula(Rank, Preset.Transformer.Width, Devices);

    /// <summary>Memory of the device with the largest shard.</summary>
    public DeviceMemory Memory
    {
        get
        {
            var plan = Shards.MaxBy(plan => plan.Shard.Count)!;
            var shard = plan.Shard;
            var coded = Preset.PriorTraining.Optimizer.Moments == MomentFormat.Paper16 ? shard.Slices.Where(slice => slice.Kind == ParameterKind.Weight).Sum(slice => slice.Count) : 0;
            var block = _specs.GroupBy(spec => BlockOf(spec.Name)).Max(specs => specs.Sum(spec => spec.Count * (spec.Kind == ParameterKind.Weight ? Half : Single)));
            return new(
                Master: shard.Count * Single,
                Moments: 2 * ((coded * Half) + ((shard.Count - coded) * Single)),
                Average: shard.Count * Single,
                Gradients: (shard.Count * Single) + block,
                Error: plan.ErrorBytes,
                Compression: (plan.CompressedCount + plan.LeftCount + plan.RightCount + plan.FactorCount) * Single,
                Gathered: 2 * block);
        }
    }

    /// <summary>1 - r (m + 2) / (2 d m).</summary>
    /// <param name="rank">Compression rank r.</param>
    /// <param name="width">Model width d.</param>
    /// <param name="shards">Number of shards m.</param>
    public static double PapersFormula(int rank, int width, int shards) => 1 - (rank * (shards + 2.0) / (2.0 * width * shards));

    // What is gathered together: a resblock (layers.0.attention, layers.0.mlp), or an array outside of them.
    private static string BlockOf(string name) => name.StartsWith("layers.", StringComparison.Ordinal) ? string.Join('.', name.Split('.').Take(3)) : name;

    private long InARing(long bytes) => 2 * (Silos - 1) * bytes / Silos;
}
