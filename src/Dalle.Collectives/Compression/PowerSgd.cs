using Dalle.Collectives.Sharding;
using Dalle.Model.Kernels;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>
/// PowerSGD of one shard with its error buffer (paper, section 2.4 and appendix E). An update goes through <see cref="Accumulate(Tensor)"/>, <see cref="Project"/>,
/// <see cref="Factor"/> and <see cref="SquaredNorm"/> to <see cref="Commit"/> or <see cref="Abort"/>. After Project and after Factor the caller sums the tensor it was given, in place,
/// over the shards of the same ordinal of all replicas; how is its own affair. Until Commit nothing that outlives the update is changed.
/// </summary>
/// <remarks>
/// What comes out is the mean gradient of the replicas: sums come in and are divided by the number of replicas here, left factors too, so that the 1e-6 that is added to them weighs
/// the same for any number. A single replica's gradients are compressed as those of many would be, though nothing travels; rank 0 leaves them as they are.
/// Used only on its device's thread. The result depends on the shard's own numbers and libtorch's number of threads, not on who else computes in the process.
/// </remarks>
public sealed class PowerSgd : IDisposable
{
    private readonly int _replicas;
    private readonly Dictionary<string, (bool Compressed, long Offset)> _places;
    private readonly HashSet<string> _accumulated = new(StringComparer.Ordinal);
    private readonly LowRankProducts[] _products;
    private readonly ErrorBuffer _error;
    private readonly Tensor _left_K;
    private readonly Tensor _right_M;
    private readonly Tensor _uncompressed_U;
    private readonly Projections _projections;
    private Tensor _work_C;
    private Phase _phase;
    private bool _finite = true;

    /// <summary>The error buffer starts at zero.</summary>
    /// <param name="plan">What is compressed, and how far.</param>
    /// <param name="replicas">Shards of this ordinal that are summed over, this one among them: at least 1.</param>
    /// <param name="seed">The job's: decides, with ordinal and parameter names, the projections, the same for all replicas.</param>
    /// <param name="device">Where it computes.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no replicas.</exception>
    public PowerSgd(CompressionPlan plan, int replicas, ulong seed, Device device)
        : this(plan, replicas, seed, device, LowRankProducts.LargestRankOfKernels)
    {
    }

    internal PowerSgd(CompressionPlan plan, int replicas, ulong seed, Device device, int largestRankOfKernels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        (Plan, _replicas) = (plan, replicas);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        _error = new(plan.CompressedCount, device);
        _work_C = zeros(plan.CompressedCount, device: device).DetachFromDisposeScope();
        _left_K = zeros(plan.LeftCount, device: device).DetachFromDisposeScope();
        _right_M = zeros(plan.RightCount, device: device).DetachFromDisposeScope();
        _uncompressed_U = _right_M.narrow(0, plan.FactorCount, plan.UncompressedCount).DetachFromDisposeScope();
        _projections = new(plan, seed, device);
        _products = [.. plan.Batches.Select(batch => new LowRankProducts(batch, batch.Rank <= largestRankOfKernels))];
        _places = plan.Compressed.Select(piece => (piece.Slice.Name, Place: (true, piece.Offset)))
            .Concat(plan.Uncompressed.Select(piece => (piece.Slice.Name, Place: (false, piece.Offset))))
            .ToDictionary(pair => pair.Name, pair => pair.Place, StringComparer.Ordinal);
    }

    private enum Phase
    {
        Accumulating,
        Projected,
        Factored,
        Prepared,
    }

    /// <summary>What is compressed, and how far.</summary>
    public CompressionPlan Plan { get; }

    /// <summary>
    /// Adds the gradients of the whole shard to what compression left out before. Gradients that are not finite are left out, and make the update one to skip: the norm becomes infinite
    /// on every replica.
    /// </summary>
    /// <param name="gradient_N">Mean gradients of the replica, without any gradient scale, laid out as the shard: float32 <c>[shard.Count]</c>.</param>
    /// <exception cref="ArgumentException">The gradient has another shape or format.</exception>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public void Accumulate(Tensor gradient_N)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(gradient_N, Plan.Shard.Count);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        if (_accumulated.Count > 0)
        {
            foreach (var slice in Plan.Shard.Slices)
            {
                Accumulate(slice, gradient_N.narrow(0, slice.Offset, slice.Count));
            }

            return;
        }

        foreach (var run in Plan.CompressedRuns)
        {
            _finite &= _error.Add(run.Offset, gradient_N.narrow(0, run.ShardOffset, run.Count), _work_C.narrow(0, run.Offset, run.Count));
        }

        foreach (var run in Plan.UncompressedRuns)
        {
            _finite &= GradientSum.Write(null, gradient_N.narrow(0, run.ShardOffset, run.Count), _uncompressed_U.narrow(0, run.Offset, run.Count));
        }

        _accumulated.UnionWith(_places.Keys);
    }

    /// <summary>Adds the gradient of one slice, as <see cref="Accumulate(Tensor)"/> does: for gradients that come a resblock at a time.</summary>
    /// <param name="slice">Of the plan's shard.</param>
    /// <param name="gradient">Float32, contiguous, with the slice's elements.</param>
    /// <exception cref="ArgumentException">The gradient has another size or format.</exception>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public void Accumulate(ShardSlice slice, Tensor gradient)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(gradient, slice.Count);
        if (slice.Count == 0 || !_finite)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var (compressed, offset) = _places[slice.Name];
        var gradient_N = gradient.view(-1);
        var target_N = (compressed ? _work_C : _uncompressed_U).narrow(0, offset, slice.Count);
        var isFirst = _accumulated.Add(slice.Name);
        _finite = isFirst && compressed ? _error.Add(offset, gradient_N, target_N) : GradientSum.Write(isFirst ? null : target_N, gradient_N, target_N);
    }

    /// <summary>Phase 1: the left factors P = E Q of all compressed slices.</summary>
    /// <param name="step">The update's number, which decides the projections Q unless they serve for the whole run.</param>
    /// <returns>Float32 <c>[plan.LeftCount]</c>, to be summed in place over the replicas. It stays this object's.</returns>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public Tensor Project(long step)
    {
        Advance(Phase.Accumulating, Phase.Projected);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Complete();
        var projections_F = _projections.Of(step);
        foreach (var products in _products)
        {
            products.MultiplyByRight(_work_C, projections_F, _left_K);
        }

        return _left_K;
    }

    /// <summary>Phase 2: makes the summed left factors orthonormal (Householder QR of P + 1e-6 I) and gives the right factors Q' = E' P.</summary>
    /// <returns>Float32 <c>[plan.RightCount]</c>: right factors, uncompressed gradients, and 1 where anything was not finite; to be summed in place over the replicas. It stays this object's.</returns>
    /// <exception cref="InvalidOperationException">The update is not in this phase.</exception>
    public Tensor Factor()
    {
        Advance(Phase.Projected, Phase.Factored);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        DivideByReplicas(_left_K);
        foreach (var products in _products)
        {
            products.OrthonormalizeLeft(_left_K);
            products.MultiplyByLeft(_work_C, _left_K, _right_M);
        }

        _right_M.narrow(0, Plan.RightCount - 1, 1).fill_(Number(_finite ? 0 : 1));
        return _right_M;
    }

    /// <summary>Phase 3: the squared norm of the mean gradient that Commit would give; left factors are orthonormal, so that of the right ones tells it. To be summed over the ordinals.</summary>
    /// <returns>Infinite where anything on any replica was not finite: the update is to be aborted then.</returns>
    /// <exception cref="InvalidOperationException">The update is not in this phase.</exception>
    public double SquaredNorm()
    {
        Advance(Phase.Factored, Phase.Prepared);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        DivideByReplicas(_right_M);
        var numbers = _right_M.narrow(0, 0, Plan.RightCount - 1);
        var square = _right_M[Plan.RightCount - 1].item<float>() != 0 ? double.PositiveInfinity
            : TensorMemory.SuitsKernelsElementwise(numbers) ? AdamWKernel.SumOfSquares(numbers)
            : Math.Pow(numbers.norm().item<float>(), 2);
        _finite = double.IsFinite(square);
        return _finite ? square : double.PositiveInfinity;
    }

    /// <summary>Writes the mean gradient, P Q'' of compressed slices, and keeps what it leaves out of this replica's own. What is not finite there is forgotten.</summary>
    /// <param name="gradient_N">Receives the gradient, laid out as the shard: float32 <c>[shard.Count]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another shape or format.</exception>
    /// <exception cref="InvalidOperationException">The update is not prepared, or not finite.</exception>
    public void Commit(Tensor gradient_N)
    {
        Require(Phase.Prepared);
        FlatLayout.Require(gradient_N, Plan.Shard.Count);
        if (!_finite)
        {
            throw new InvalidOperationException("The update is not finite: it can only be aborted.");
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var products in _products)
        {
            products.Subtract(_work_C, _left_K, _right_M, gradient_N);
        }

        foreach (var run in Plan.UncompressedRuns)
        {
            gradient_N.narrow(0, run.ShardOffset, run.Count).copy_(_uncompressed_U.narrow(0, run.Offset, run.Count));
        }

        _work_C = _error.Exchange(_work_C);
        Restart();
    }

    /// <summary>Forgets the update: everything is as it was before it, to the bit. Allowed in every phase.</summary>
    public void Abort() => Restart();

    /// <summary>Copies what compression has left out so far, for a checkpoint or a buddy.</summary>
    /// <param name="error_C">Receives it: float32 <c>[plan.CompressedCount]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another shape or format.</exception>
    public void ReadError(Tensor error_C)
    {
        FlatLayout.Require(error_C, Plan.CompressedCount);
        using var untracked = no_grad();
        _error.Read(0, error_C);
    }

    /// <summary>Replaces what compression has left out so far: by a checkpoint's sum over the replicas, divided by their number (paper, appendix E). What is not finite becomes 0.</summary>
    /// <param name="error_C">Float32 <c>[plan.CompressedCount]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another shape or format.</exception>
    /// <exception cref="InvalidOperationException">An update is under way.</exception>
    public void WriteError(Tensor error_C)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(error_C, Plan.CompressedCount);
        if (_accumulated.Count > 0)
        {
            throw new InvalidOperationException("An update is under way: commit or abort it first.");
        }

        using var untracked = no_grad();
        _work_C.copy_(error_C).nan_to_num_(0, 0, 0);
        _work_C = _error.Exchange(_work_C);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _error.Dispose();
        _projections.Dispose();
        foreach (var tensor in (Tensor[])[_work_C, _left_K, _uncompressed_U, _right_M])
        {
            tensor.Dispose();
        }
    }

    // Slices without a gradient have what was left out before; an update to skip computes with zeros, so that no factorisation meets what is not finite.
    private void Complete()
    {
        if (!_finite)
        {
            _work_C.zero_();
            _uncompressed_U.zero_();
            return;
        }

        foreach (var (slice, offset) in Plan.Compressed.Where(piece => !_accumulated.Contains(piece.Slice.Name)))
        {
            _error.Read(offset, _work_C.narrow(0, offset, slice.Count));
        }

        foreach (var (slice, offset) in Plan.Uncompressed.Where(piece => !_accumulated.Contains(piece.Slice.Name)))
        {
            _uncompressed_U.narrow(0, offset, slice.Count).zero_();
        }
    }

    private void DivideByReplicas(Tensor sum)
    {
        if (_replicas > 1)
        {
            sum.div_(Number(_replicas));
        }
    }

    private void Restart()
    {
        (_phase, _finite) = (Phase.Accumulating, true);
        _accumulated.Clear();
    }

    private void Advance(Phase from, Phase to)
    {
        Require(from);
        _phase = to;
    }

    private void Require(Phase phase)
    {
        if (_phase != phase)
        {
            throw new InvalidOperationException($"The update is in the phase {_phase}, not {phase}.");
        }
    }
}
