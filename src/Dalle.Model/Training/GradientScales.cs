using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>
/// What the gradients of every resblock are multiplied by on their way back through it, and the rule by which that follows them (paper, appendix on mixed precision). A scale starts at
/// M * 2^13 for M data-parallel workers. After an update it grows by 2^(1/1000); where the resblock's parameter gradients are not all finite it is divided by sqrt(2) instead, and the
/// update is to be skipped. It stays within M * 2^7 and M * 2^24.
/// </summary>
/// <remarks>
/// A skipped update is none: the scales of its other resblocks stay as they are. From one division of a scale to the next there are at least <see cref="Window"/> updates. Several threads
/// may read the scales at a time while none calls <see cref="Observe"/>.
/// </remarks>
public sealed class GradientScales : IDisposable
{
    /// <summary>Updates from one division of a scale to the next, at least.</summary>
    public const int Window = 125;

    private static readonly double Growth = Math.Pow(2, 1.0 / 1000);

    private readonly int _workers;
    private readonly Tensor _scale;
    private readonly Tensor _dividedAt;
    private readonly Tensor _skipped;

    /// <param name="resblocks">How many resblocks there are.</param>
    /// <param name="workers">Data-parallel workers, M in the paper: their gradients are added.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public GradientScales(int resblocks, int workers = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(resblocks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        _workers = workers;
        _scale = zeros(resblocks, ScalarType.Float64).DetachFromDisposeScope();
        _dividedAt = zeros(resblocks, ScalarType.Int64).DetachFromDisposeScope();
        _skipped = zeros(1, ScalarType.Int64).DetachFromDisposeScope();
        Values<double>(_scale).Fill(workers * Math.ScaleB(1, 13));
        Values<long>(_dividedAt).Fill(-Window);
    }

    /// <summary>The scale of a resblock, counted from 0 in the order of a forward pass.</summary>
    public double this[int resblock] => Values<double>(_scale)[resblock];

    /// <summary>How many resblocks there are.</summary>
    public int Count => Values<double>(_scale).Length;

    /// <summary>The scales' range, and how many updates were skipped.</summary>
    public GradientScalesReport Report()
    {
        var scales = Values<double>(_scale).ToArray();
        return new(scales.Min(), scales.Max(), Values<long>(_skipped)[0]);
    }

    /// <summary>Follows one update.</summary>
    /// <param name="step">Its number, counted from 0.</param>
    /// <param name="finite">For each resblock, whether all its parameters' gradients were finite.</param>
    /// <param name="skipped">Whether the update was skipped, for whatever gradient.</param>
    /// <exception cref="ArgumentException">There are not as many answers as resblocks, or an update is said to have been done with gradients that were not finite.</exception>
    public void Observe(int step, ReadOnlySpan<bool> finite, bool skipped)
    {
        if (finite.Length != Count || (!skipped && finite.Contains(false)))
        {
            throw new ArgumentException($"Expected {Count} resblocks, and an update skipped unless the gradients of all are finite; got {finite.Length}, of which {finite.Count(false)} are not.", nameof(finite));
        }

        var scale = Values<double>(_scale);
        var dividedAt = Values<long>(_dividedAt);
        for (var resblock = 0; resblock < finite.Length; resblock++)
        {
            if (!skipped)
            {
                scale[resblock] = Math.Min(scale[resblock] * Growth, _workers * Math.ScaleB(1, 24));
            }
            else if (!finite[resblock] && step - dividedAt[resblock] >= Window)
            {
                scale[resblock] = Math.Max(scale[resblock] / Math.Sqrt(2), _workers * Math.ScaleB(1, 7));
                dividedAt[resblock] = step;
            }
        }

        Values<long>(_skipped)[0] += skipped ? 1 : 0;
    }

    /// <summary>
    /// The scales (float64), the updates that divided them last (int64, below 0 for none) and how many were skipped (int64 <c>[1]</c>), for checkpoints. Views belong to the caller's dispose scope.
    /// </summary>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState() =>
    [
        ("gradient_scales.scale", _scale.alias()),
        ("gradient_scales.divided_at", _dividedAt.alias()),
        ("gradient_scales.skipped", _skipped.alias()),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        _scale.Dispose();
        _dividedAt.Dispose();
        _skipped.Dispose();
    }

    private static Span<T> Values<T>(Tensor tensor)
        where T : struct
        => MemoryMarshal.Cast<byte, T>(tensor.bytes);
}

/// <summary>Figures of <see cref="GradientScales"/>.</summary>
/// <param name="Smallest">The smallest scale.</param>
/// <param name="Largest">The largest scale.</param>
/// <param name="SkippedUpdates">Updates skipped since training began.</param>
public sealed record GradientScalesReport(double Smallest, double Largest, long SkippedUpdates);
