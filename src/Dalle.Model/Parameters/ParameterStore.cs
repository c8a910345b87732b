using Dalle.Model.Randomness;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Parameters;

/// <summary>
/// The parameters of one network in two flat buffers: 32-bit masters of every parameter, and 16-bit compute copies of the
/// <see cref="ParameterKind.Weight"/> ones under mixed precision. Named parameters are views, so optimiser, averaging and checkpoints each
/// walk one array. The views keep their identity for the store's life: networks fetch them once.
/// </summary>
/// <remarks>Not thread-safe: used only on its device's thread. Tensors are detached from the dispose scope they were made in.</remarks>
public sealed class ParameterStore : IDisposable
{
    private readonly Dictionary<string, (ParameterSpec Spec, long Offset)> _layout;
    private readonly Dictionary<string, Tensor> _compute = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _gradients = new(StringComparer.Ordinal);
    private readonly bool _trains;
    private readonly long _firstMaster;
    private readonly ParameterStore? _lender;

    /// <summary>Allocates the arrays, zero-filled. Decayed parameters come first, 16-bit ones foremost, each kind in declaration order.</summary>
    /// <param name="specs">The network's declaration.</param>
    /// <param name="precision">Format of the compute copies.</param>
    /// <param name="device">Where the arrays live.</param>
    /// <param name="trains">Whether gradients are kept; false for inference.</param>
    /// <param name="masters">Whether what has a 16-bit compute copy has a master too; false where that is elsewhere.</param>
    /// <exception cref="ArgumentException">A name is declared twice.</exception>
    public ParameterStore(IReadOnlyList<ParameterSpec> specs, Precision precision, Device device, bool trains, bool masters = true)
    {
        Specs = [.. InStorageOrder(specs)];
        Precision = precision;
        _trains = trains;
        _layout = new(StringComparer.Ordinal);
        long offset = 0;
        foreach (var spec in Specs)
        {
            if (!_layout.TryAdd(spec.Name, (spec, offset)))
            {
                throw new ArgumentException($"Parameter '{spec.Name}' is declared twice.", nameof(specs));
            }

            offset += spec.Count;
        }

        Count = offset;
        DecayedCount = Specs.Where(s => s.Decays).Sum(s => s.Count);
        WeightCount = Specs.Where(s => s.Kind == ParameterKind.Weight).Sum(s => s.Count);
        HalfCount = precision == Precision.Float32 ? 0 : WeightCount;
        _firstMaster = masters ? 0 : HalfCount;

        using var scope = NewDisposeScope();
        Master = zeros(Count - _firstMaster, device: device).DetachFromDisposeScope();
        Half = zeros(HalfCount, precision.ToScalarType(), device).DetachFromDisposeScope();
        (Gradient, HalfGradient) = NewGradients();
        AddViews();
    }

    private ParameterStore(ParameterStore lender)
    {
        (Specs, Precision, _trains, _lender, _layout) = (lender.Specs, lender.Precision, lender._trains, lender, lender._layout);
        (Count, DecayedCount, WeightCount, HalfCount) = (lender.Count, lender.DecayedCount, lender.WeightCount, lender.HalfCount);
        (Master, Half, _firstMaster) = (lender.Master, lender.Half, lender._firstMaster);
        using var scope = NewDisposeScope();
        (Gradient, HalfGradient) = NewGradients();
        AddViews();
    }

    /// <summary>The declarations in storage order.</summary>
    public IReadOnlyList<ParameterSpec> Specs { get; }

    /// <summary>Format of the compute copies.</summary>
    public Precision Precision { get; }

    /// <summary>Elements in all.</summary>
    public long Count { get; }

    /// <summary>Elements at the front of the arrays that weight decay applies to.</summary>
    public long DecayedCount { get; }

    /// <summary>Elements at the front of the arrays that are of <see cref="ParameterKind.Weight"/>.</summary>
    public long WeightCount { get; }

    /// <summary>Elements at the front of the arrays that have a 16-bit compute copy.</summary>
    public long HalfCount { get; }

    /// <summary>All parameters, float32 <c>[Count]</c>; those from <see cref="HalfCount"/> on where the others have no masters here.</summary>
    public Tensor Master { get; }

    /// <summary>All gradients after <see cref="CollectGradients"/>, float32 <c>[Count]</c>; empty when not training.</summary>
    public Tensor Gradient { get; }

    private Tensor Half { get; }

    private Tensor HalfGradient { get; }

    /// <summary>The parameter as forward passes use it: its 16-bit copy where it has one, else the master. A leaf that collects gradients when training.</summary>
    /// <exception cref="KeyNotFoundException">The network does not declare the name.</exception>
    public Tensor this[string name] => _compute.TryGetValue(name, out var tensor)
        ? tensor
        : throw new KeyNotFoundException($"The network declares no parameter '{name}'.");

    /// <summary>Where the parameter's gradient collects, in the format of its compute copy: for networks that write their own backward pass.</summary>
    /// <exception cref="KeyNotFoundException">The network does not declare the name, or the store keeps no gradients.</exception>
    public Tensor GradientOf(string name) => _gradients.TryGetValue(name, out var tensor)
        ? tensor
        : throw new KeyNotFoundException($"There is no gradient of a parameter '{name}' here.");

    /// <summary>Bytes of all arrays that are its own: masters, compute copies and gradients.</summary>
    internal long Bytes => (_lender is null ? new[] { Master, Half, Gradient, HalfGradient } : [Gradient, HalfGradient]).Sum(array => array.numel() * array.ElementSize);

    /// <summary>Whether the network declares a parameter.</summary>
    public bool Contains(string name) => _layout.ContainsKey(name);

    /// <summary>Draws the initial values: each array from its own stream of (seed, name), whatever else the network declares.</summary>
    public void Initialize(ulong seed)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var (spec, _) in _layout.Values)
        {
            View(Master, spec.Name).copy_(InitialValue(spec, seed));
        }

        RefreshCompute();
    }

    /// <summary>What <see cref="Initialize"/> draws for a parameter: float32, of its shape, on the CPU. The caller disposes it.</summary>
    public static Tensor InitialValue(ParameterSpec spec, ulong seed)
    {
        using var generator = CounterRandom.Generator(seed, step: 0, worker: 0, Purpose.Initialization, spec.Name);
        return randn(spec.Shape, generator: generator).mul_(Number(spec.InitialDeviation)).add_(Number(spec.InitialMean), One);
    }

    /// <summary>Declarations as they follow each other in flat arrays: decayed ones first, 16-bit ones foremost, each kind as declared.</summary>
    public static IEnumerable<ParameterSpec> InStorageOrder(IEnumerable<ParameterSpec> specs) => specs.OrderBy(spec => spec.Kind switch
    {
        ParameterKind.Weight => 0,
        ParameterKind.FullPrecisionWeight => 1,
        _ => 2,
    });

    /// <summary>A named parameter's part of a flat array laid out like <see cref="Master"/>. The caller disposes it.</summary>
    /// <param name="flat">The array.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="from">The element of the layout that the array begins with.</param>
    public Tensor View(Tensor flat, string name, long from = 0)
    {
        var (spec, offset) = _layout[name];
        using var part = flat.narrow(0, offset - from, spec.Count);
        return part.view(spec.Shape);
    }

    /// <summary>Copies the masters into the 16-bit compute copies; to be called after the masters change.</summary>
    public void RefreshCompute()
    {
        if (HalfCount > 0 && _firstMaster == 0)
        {
            using var scope = NewDisposeScope();
            using var untracked = no_grad();
            Half.copy_(Master.narrow(0, 0, HalfCount));
        }
    }

    /// <summary>Zeroes the gradients; to be called before the first backward pass of an update.</summary>
    public void ZeroGradients()
    {
        using var untracked = no_grad();
        Gradient.zero_();
        HalfGradient.zero_();
    }

    /// <summary>Brings the 16-bit gradients into <see cref="Gradient"/>; to be called after the last backward pass of an update.</summary>
    public void CollectGradients()
    {
        if (_trains && HalfCount > 0)
        {
            using var scope = NewDisposeScope();
            using var untracked = no_grad();
            Gradient.narrow(0, 0, HalfCount).copy_(HalfGradient);
        }
    }

    /// <summary>The same parameters, in the same memory, with gradients of their own. It must not outlive this store.</summary>
    public ParameterStore WithOwnGradients() => new(this);

    /// <summary>Adds the gradients of a store made by <see cref="WithOwnGradients"/> to the collected ones.</summary>
    public void AddGradients(ParameterStore other)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Gradient.narrow(0, 0, HalfCount).add_(other.HalfGradient, One);
        Gradient.narrow(0, HalfCount, Count - HalfCount).add_(other.Gradient.narrow(0, HalfCount, Count - HalfCount), One);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _compute.Values.Concat(_gradients.Values).Concat([Gradient, HalfGradient]).Concat(_lender is null ? [Master, Half] : []))
        {
            tensor.Dispose();
        }
    }

    private (Tensor Gradient, Tensor Half) NewGradients() =>
    (
        zeros(_trains ? Count : 0, device: Master.device).DetachFromDisposeScope(),
        zeros(_trains ? HalfCount : 0, Half.dtype, Master.device).DetachFromDisposeScope());

    private void AddViews()
    {
        foreach (var (spec, start) in _layout.Values)
        {
            var half = start < HalfCount;
            var tensor = (half ? Half.narrow(0, start, spec.Count) : Master.narrow(0, start - _firstMaster, spec.Count)).view(spec.Shape).detach();
            if (_trains)
            {
                tensor.requires_grad_(true);
                var gradient = (half ? HalfGradient : Gradient).narrow(0, start, spec.Count).view(spec.Shape);
                tensor.grad = gradient;
                _gradients.Add(spec.Name, gradient.DetachFromDisposeScope());
            }

            _compute.Add(spec.Name, tensor.DetachFromDisposeScope());
        }
    }
}
