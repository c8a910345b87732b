using Dalle.Collectives.Updates;
using Dalle.Model.Parameters;
using Dalle.Model.Training;
using TorchSharp;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Tests.Updates;

/// <summary>A network without a purpose: its gradients are pure functions of (parameters, step, worker), so that a wrong bit anywhere is a wrong bit everywhere some steps later.</summary>
internal sealed class TestTrainer : IShardedTrainer
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _steps = zeros(1, ScalarType.Int64);

    public TestTrainer(HeldRows rows)
    {
        Network = new(Declaration, Precision.Float32, CPU, trains: true);
        Network.Initialize(seed: 5);
        Held = rows.All ? Network : new([.. rows.Plan.Specs.Select(spec => spec with { Shape = [rows.Ranges[spec.Name].Count, .. spec.Shape.AsSpan(1)] })], Precision.Float32, CPU, trains: true);
        if (!rows.All)
        {
            foreach (var spec in rows.Plan.Specs)
            {
                var (first, count) = rows.Ranges[spec.Name];
                Held.View(Held.Master, spec.Name).copy_(Network.View(Network.Master, spec.Name).narrow(0, first, count));
            }
        }

        HeldAverage = Held.Master.clone();
        Average = new(Declaration, Precision.Float32, CPU, trains: false);
    }

    /// <summary>Matrices that compression pays for and others, and arrays with fewer rows than there are ordinals.</summary>
    public static IReadOnlyList<ParameterSpec> Declaration { get; } =
    [
        new("a.weight", ParameterKind.Weight, 0, 1, 40, 24), new("a.bias", ParameterKind.Bias, 0, 1, 40), new("b.weight", ParameterKind.Weight, 0, 1, 24, 40),
        new("gain", ParameterKind.Gain, 1, 0, 2), new("embedding", ParameterKind.Embedding, 0, 1, 5, 8), new("head", ParameterKind.FullPrecisionWeight, 0, 1, 7, 9),
    ];

    public int Step { get; set; }

    public ParameterStore Network { get; }

    public ParameterStore Held { get; }

    public Tensor HeldAverage { get; }

    public ParameterStore Average { get; }

    public double SquaredNorm() => Math.Pow(Held.Gradient.norm().item<float>(), 2);

    /// <summary>Collects a worker's gradient.</summary>
    public void Compute(int step, int worker)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)((step * 100) + worker));
        Network.Gradient.copy_(Network.Master.mul(Number(0.01 * (worker + 1))).add_(randn(Network.Count, generator: generator), One));
    }

    /// <summary>Applies the mean gradient, clipped.</summary>
    public void Apply(double norm)
    {
        if (double.IsFinite(norm))
        {
            Held.Master.add_(Held.Gradient, Number(-0.1 / Math.Max(1, norm)));
            HeldAverage.mul_(Number(0.9)).add_(Held.Master, Number(0.1));
        }

        _steps.add_(One, One);
        Step++;
    }

    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        .. Held.Specs.Select(spec => ("parameters." + spec.Name, Held.View(Held.Master, spec.Name))),
        .. Held.Specs.Select(spec => ("average." + spec.Name, Held.View(HeldAverage, spec.Name))),
        ("steps", _steps.alias()),
    ];

    public void OnRestored()
    {
    }

    public void Dispose()
    {
        Network.Dispose();
        if (Held != Network)
        {
            Held.Dispose();
        }

        Average.Dispose();
        _scope.Dispose();
    }
}
