using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>The parameters of a network in training, their optimiser and their moving average: what the trainers of all stages have in common (<see cref="IShardedTrainer"/>).</summary>
/// <remarks>Used only on its device's thread.</remarks>
internal sealed class TrainedParameters : IDisposable
{
    private readonly IReadOnlyList<ParameterSpec> _specs;
    private readonly Dictionary<string, RowRange>? _rows;
    private ParameterStore? _average;

    /// <summary>Allocates them, zero-filled.</summary>
    /// <param name="specs">The network's declaration.</param>
    /// <param name="precision">Format of the compute copies.</param>
    /// <param name="device">Where the arrays live.</param>
    /// <param name="optimizer">The optimiser's numbers.</param>
    /// <param name="held">The rows that this process holds, by parameter; none of those that it does not name. Null for all rows of all arrays.</param>
    /// <param name="streamed">What the names of arrays begin with that are whole only while they are computed with, where some rows are not held; null for none.</param>
    /// <exception cref="ArgumentException">Rows are held that the network does not declare.</exception>
    public TrainedParameters(
        IReadOnlyList<ParameterSpec> specs, Precision precision, Device device, AdamWConfig optimizer, IReadOnlyDictionary<string, RowRange>? held, IReadOnlyList<string>? streamed = null)
    {
        _specs = specs;
        _rows = held is null ? null : RowsOf(specs, held);
        Network = new(
            _rows is null || streamed is null ? specs : [.. specs.Where(spec => !streamed.Any(prefix => spec.Name.StartsWith(prefix, StringComparison.Ordinal)))], precision, device, trains: true);

        // Nothing computes with the held rows alone: they need no compute copies.
        Held = _rows is null ? Network : new([.. specs.Select(spec => spec.WithRows(_rows[spec.Name].Count))], Precision.Float32, device, trains: true);
        HeldAverage = _rows is null ? Average.Master : zeros(Held.Count, device: device).DetachFromDisposeScope();
        Optimizer = new(Held, optimizer);
    }

    /// <summary>All rows of all arrays, but of those that are streamed.</summary>
    public ParameterStore Network { get; }

    /// <summary>The held rows: <see cref="Network"/> itself where they are all.</summary>
    public ParameterStore Held { get; }

    /// <summary>The moving average of the held rows, float32, laid out like their masters.</summary>
    public Tensor HeldAverage { get; }

    /// <summary>The moving average of all rows; allocated when first asked for.</summary>
    public ParameterStore Average => _average ??= new(_specs, Network.Precision, Network.Master.device, trains: false);

    /// <summary>The optimiser of the held rows.</summary>
    public AdamW Optimizer { get; }

    /// <summary>Starts the held rows and the average from the network's masters; to be called once those have their initial values.</summary>
    /// <param name="seed">What those of streamed arrays are drawn from.</param>
    public void Start(ulong seed)
    {
        using var untracked = no_grad();
        foreach (var spec in _rows is null ? [] : _specs)
        {
            using var array = NewDisposeScope();
            var initial = Network.Contains(spec.Name) ? Network.View(Network.Master, spec.Name) : ParameterStore.InitialValue(spec, seed);
            Held.View(Held.Master, spec.Name).copy_(_rows![spec.Name].Of(initial));
        }

        HeldAverage.copy_(Held.Master);
    }

    /// <summary>For an update that nobody shares.</summary>
    /// <exception cref="InvalidOperationException">Some rows are not held here.</exception>
    public void RequireAllRows()
    {
        if (Held != Network)
        {
            throw new InvalidOperationException($"Expected all {_specs.Sum(spec => spec.Count)} elements of the network to be held here for an update alone, got {Held.Count}.");
        }
    }

    /// <summary>Moves the average of the held rows towards them.</summary>
    /// <param name="decay">What it keeps of itself.</param>
    public void MoveAverage(double decay)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        HeldAverage.mul_(Number(decay)).add_(Held.Master, Number(1 - decay));
    }

    /// <summary><see cref="Average"/>, its compute copies as of now.</summary>
    public ParameterStore RefreshedAverage()
    {
        Average.RefreshCompute();
        return Average;
    }

    /// <summary>Masters, averages and moments of the held rows by parameter, for checkpoints. Views belong to the caller's dispose scope.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        .. ParameterFile.Views(Held, Held.Master, "parameters."),
        .. ParameterFile.Views(Held, HeldAverage, "average."),
        .. Optimizer.NamedState(),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        Optimizer.Dispose();
        _average?.Dispose();
        if (Held != Network)
        {
            HeldAverage.Dispose();
            Held.Dispose();
        }

        Network.Dispose();
    }

    // By parameter; null where they are all rows of all arrays.
    private static Dictionary<string, RowRange>? RowsOf(IReadOnlyList<ParameterSpec> specs, IReadOnlyDictionary<string, RowRange> held)
    {
        if (held.Keys.Except(specs.Select(spec => spec.Name)).FirstOrDefault() is { } unknown)
        {
            throw new ArgumentException($"Expected rows of the network's parameters, got some of '{unknown}', which it does not declare.", nameof(held));
        }

        var rows = specs.ToDictionary(spec => spec.Name, spec => held.GetValueOrDefault(spec.Name), StringComparer.Ordinal);
        if (specs.FirstOrDefault(spec => rows[spec.Name] is var (first, count) && (first < 0 || count < 0 || first > spec.Rows - count)) is { } spec)
        {
            throw new ArgumentException($"Expected rows within the {spec.Rows} of '{spec.Name}', got {rows[spec.Name].Count} from {rows[spec.Name].First} on.", nameof(held));
        }

        return specs.All(spec => rows[spec.Name].Count == spec.Rows) ? null : rows;
    }
}
