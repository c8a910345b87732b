using Dalle.Collectives.Sharding;
using Dalle.Model.Kernels;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>
/// PowerSGD of one shard with its error buffers (paper, section 2.4 and appendix E), for all replicas of the shard that this process hosts: its own ones, counted from 0. An update
/// goes through <see cref="Accumulate(int, Tensor)"/>, <see cref="Project"/>, <see cref="Factor"/> and <see cref="SquaredNorm"/> to <see cref="Commit"/> or <see cref="Abort"/>.
/// After Project and after Factor the caller sums the tensors it was given, one of each own replica, and those of the other processes, into the first of them; how is its own
/// affair. Until Commit nothing that outlives the update is changed.
/// </summary>
/// <remarks>
/// What comes out is the mean gradient of the replicas: sums come in and are divided by the number of replicas here, left factors too, so that the 1e-6 that is added to them weighs
/// the same for any number. A single replica's gradients are compressed as those of many would be, though nothing travels; rank 0 leaves them as they are.
/// Used only on its device's thread. The result depends on the shards' own numbers and libtorch's number of threads, not on who else computes in the process, nor, if sums are made
/// in one order, on which processes host the replicas.
/// </remarks>
public sealed class PowerSgd : IDisposable
{
    private readonly int _replicas;
    private readonly OwnReplica[] _own;
    private readonly LowRankProducts[] _products;
    private readonly Projections _projections;
    private Phase _phase;
    private bool _finite;

    /// <summary>The error buffers start at zero.</summary>
    /// <param name="plan">What is compressed, and how far.</param>
    /// <param name="replicas">Shards of this ordinal that are summed over, the own ones among them: at least 1.</param>
    /// <param name="seed">The job's: decides, with ordinal and parameter names, the projections, the same for all replicas.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="ownReplicas">How many of the replicas this process hosts: at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no own replicas, or more than there are replicas.</exception>
    public PowerSgd(CompressionPlan plan, int replicas, ulong seed, Device device, int ownReplicas = 1)
        : this(plan, replicas, seed, device, ownReplicas, LowRankProducts.LargestRankOfKernels)
    {
    }

    internal PowerSgd(CompressionPlan plan, int replicas, ulong seed, Device device, int ownReplicas, int largestRankOfKernels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ownReplicas, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, ownReplicas);
        (Plan, _replicas) = (plan, replicas);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        _own = [.. Enumerable.Range(0, ownReplicas).Select(_ => new OwnReplica(plan, device))];
        _projections = new(plan, seed, device);
        _products = [.. plan.Batches.Select(batch => new LowRankProducts(batch, batch.Rank <= largestRankOfKernels))];
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

    /// <summary>How many replicas this process hosts.</summary>
    public int OwnReplicas => _own.Length;

    // Whose buffers receive the sums over all replicas.
    private OwnReplica First => _own[0];

    /// <summary>
    /// Adds the gradients of the whole shard to what compression left out before. Gradients that are not finite are left out, and make the update one to skip: the norm becomes infinite
    /// on every replica.
    /// </summary>
    /// <param name="own">Which of the own replicas.</param>
    /// <param name="gradient_N">Mean gradients of the replica, without any gradient scale, laid out as the shard: float32 <c>[shard.Count]</c>.</param>
    /// <exception cref="ArgumentException">The gradient has another shape or format, or there is no such own replica.</exception>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public void Accumulate(int own, Tensor gradient_N)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(gradient_N, Plan.Shard.Count);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Own(own).Accumulate(gradient_N);
    }

    /// <summary>Adds the gradient of one slice, as <see cref="Accumulate(int, Tensor)"/> does: for gradients that come a resblock at a time.</summary>
    /// <param name="own">Which of the own replicas.</param>
    /// <param name="slice">Of the plan's shard.</param>
    /// <param name="gradient">Float32, contiguous, with the slice's elements.</param>
    /// <exception cref="ArgumentException">The gradient has another size or format, or there is no such own replica.</exception>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public void Accumulate(int own, ShardSlice slice, Tensor gradient)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(gradient, slice.Count);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Own(own).Accumulate(slice, gradient);
    }

    /// <summary>Phase 1: the left factors P = E Q of all compressed slices.</summary>
    /// <param name="step">The update's number, which decides the projections Q unless they serve for the whole run.</param>
    /// <returns>By own replica, float32 <c>[plan.LeftCount]</c>: those of all replicas are to be summed into the first. They stay this object's.</returns>
    /// <exception cref="InvalidOperationException">The update is past this phase.</exception>
    public IReadOnlyList<Tensor> Project(long step)
    {
        Advance(Phase.Accumulating, Phase.Projected);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var projections_F = _projections.Of(step);
        foreach (var replica in _own)
        {
            replica.Complete();
            foreach (var products in _products)
            {
                products.MultiplyByRight(replica.Work_C, projections_F, replica.Left_K);
            }
        }

        return [.. _own.Select(replica => replica.Left_K)];
    }

    /// <summary>Phase 2: makes the summed left factors orthonormal (Householder QR of P + 1e-6 I) and gives the right factors Q' = E' P.</summary>
    /// <returns>
    /// By own replica, float32 <c>[plan.RightCount]</c>: right factors, uncompressed gradients, and 1 where anything was not finite. Those of all replicas are to be summed into the
    /// first. They stay this object's.
    /// </returns>
    /// <exception cref="InvalidOperationException">The update is not in this phase.</exception>
    public IReadOnlyList<Tensor> Factor()
    {
        Advance(Phase.Projected, Phase.Factored);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        DivideByReplicas(First.Left_K);
        foreach (var products in _products)
        {
            products.OrthonormalizeLeft(First.Left_K);
            foreach (var replica in _own)
            {
                products.MultiplyByLeft(replica.Work_C, First.Left_K, replica.Right_M);
            }
        }

        return [.. _own.Select(replica => replica.Right_M)];
    }

    /// <summary>Phase 3: the squared norm of the mean gradient that Commit would give; left factors are orthonormal, so that of the right ones tells it. To be summed over the ordinals.</summary>
    /// <returns>Infinite where anything on any replica was not finite: the update is to be aborted then.</returns>
    /// <exception cref="InvalidOperationException">The update is not in this phase.</exception>
    public double SquaredNorm()
    {
        Advance(Phase.Factored, Phase.Prepared);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        var right_M = First.Right_M;
        DivideByReplicas(right_M);
        var numbers = right_M.narrow(0, 0, Plan.RightCount - 1);
        var square = right_M[Plan.RightCount - 1].item<float>() != 0 ? double.PositiveInfinity
            : TensorMemory.SuitsKernelsElementwise(numbers) ? AdamWKernel.SumOfSquares(numbers)
            : Math.Pow(numbers.norm().item<float>(), 2);
        _finite = double.IsFinite(square);
        return _finite ? square : double.PositiveInfinity;
    }

    /// <summary>Writes the mean gradient, P Q'' of compressed slices, and keeps what it leaves out of each own replica's. What is not finite there is forgotten.</summary>
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
            products.Subtract(First.Work_C, First.Left_K, First.Right_M, gradient_N);
        }

        foreach (var run in Plan.UncompressedRuns)
        {
            gradient_N.narrow(0, run.ShardOffset, run.Count).copy_(First.Uncompressed_U.narrow(0, run.Offset, run.Count));
        }

        foreach (var replica in _own.Skip(1))
        {
            replica.Subtract(gradient_N);
        }

        foreach (var replica in _own)
        {
            replica.Keep();
        }

        _phase = Phase.Accumulating;
    }

    /// <summary>Forgets the update: everything is as it was before it, to the bit. Allowed in every phase.</summary>
    public void Abort()
    {
        foreach (var replica in _own)
        {
            replica.Restart();
        }

        _phase = Phase.Accumulating;
    }

    /// <summary>Copies what compression has left out of an own replica so far, for a checkpoint or a buddy.</summary>
    /// <param name="own">Which of the own replicas.</param>
    /// <param name="error_C">Receives it: float32 <c>[plan.CompressedCount]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another shape or format, or there is no such own replica.</exception>
    public void ReadError(int own, Tensor error_C)
    {
        FlatLayout.Require(error_C, Plan.CompressedCount);
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        Own(own).ReadError(error_C);
    }

    /// <summary>
    /// Replaces what compression has left out of an own replica so far: by a checkpoint's sum over the replicas, divided by their number (paper, appendix E). What is not finite
    /// becomes 0, the rest is rounded to the buffer's format.
    /// </summary>
    /// <param name="own">Which of the own replicas.</param>
    /// <param name="error_C">Float32 <c>[plan.CompressedCount]</c>.</param>
    /// <exception cref="ArgumentException">The tensor has another shape or format, or there is no such own replica.</exception>
    /// <exception cref="InvalidOperationException">An update is under way.</exception>
    public void WriteError(int own, Tensor error_C)
    {
        Require(Phase.Accumulating);
        FlatLayout.Require(error_C, Plan.CompressedCount);
        var replica = Own(own);
        if (replica.HasGradients)
        {
            throw new InvalidOperationException("An update is under way: commit or abort it first.");
        }

        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        replica.WriteError(error_C);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _projections.Dispose();
        foreach (var replica in _own)
        {
            replica.Dispose();
        }
    }

    private OwnReplica Own(int own) => own >= 0 && own < _own.Length
        ? _own[own]
        : throw new ArgumentOutOfRangeException(nameof(own), own, $"Expected one of {_own.Length} own replicas, counted from 0.");

    private void DivideByReplicas(Tensor sum)
    {
        if (_replicas > 1)
        {
            sum.div_(Number(_replicas));
        }
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
