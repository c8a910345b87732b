using Dalle.Collectives.Sharding;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>What <see cref="PowerSgd"/> keeps of one replica that this process hosts: its error buffer, the gradients added to that, and the factors that are summed over replicas.</summary>
/// <remarks>Its methods are called within a dispose scope and without tracking of gradients.</remarks>
internal sealed class OwnReplica : IDisposable
{
    private readonly CompressionPlan _plan;
    private readonly HashSet<string> _accumulated = new(StringComparer.Ordinal);
    private readonly ErrorBuffer _error;
    private bool _finite = true;

    /// <summary>The error buffer starts at zero.</summary>
    public OwnReplica(CompressionPlan plan, Device device)
    {
        _plan = plan;
        _error = new(plan.CompressedCount, plan.Settings.ErrorFormat, device);
        Work_C = zeros(plan.CompressedCount, device: device).DetachFromDisposeScope();
        Left_K = zeros(plan.LeftCount, device: device).DetachFromDisposeScope();
        Right_M = zeros(plan.RightCount, device: device).DetachFromDisposeScope();
        Uncompressed_U = Right_M.narrow(0, plan.FactorCount, plan.UncompressedCount).DetachFromDisposeScope();
    }

    /// <summary>What is compressed: gradients and what was left out before.</summary>
    public Tensor Work_C { get; private set; }

    /// <summary>Left factors.</summary>
    public Tensor Left_K { get; }

    /// <summary>Right factors, uncompressed gradients, and 1 where anything was not finite.</summary>
    public Tensor Right_M { get; }

    /// <summary>The uncompressed gradients among them.</summary>
    public Tensor Uncompressed_U { get; }

    /// <summary>Whether an update has begun.</summary>
    public bool HasGradients => _accumulated.Count > 0;

    /// <summary>Adds the gradients of the whole shard.</summary>
    public void Accumulate(Tensor gradient_N)
    {
        if (HasGradients)
        {
            foreach (var slice in _plan.Shard.Slices)
            {
                Accumulate(slice, gradient_N.narrow(0, slice.Offset, slice.Count));
            }

            return;
        }

        foreach (var run in _plan.CompressedRuns)
        {
            _finite &= _error.Add(run.Offset, gradient_N.narrow(0, run.ShardOffset, run.Count), Work_C.narrow(0, run.Offset, run.Count));
        }

        foreach (var run in _plan.UncompressedRuns)
        {
            _finite &= GradientSum.Write(null, gradient_N.narrow(0, run.ShardOffset, run.Count), Uncompressed_U.narrow(0, run.Offset, run.Count));
        }

        _accumulated.UnionWith(_plan.Places.Keys);
    }

    /// <summary>Adds the gradient of one slice.</summary>
    public void Accumulate(ShardSlice slice, Tensor gradient)
    {
        if (slice.Count == 0 || !_finite)
        {
            return;
        }

        var (compressed, offset) = _plan.Places[slice.Name];
        var gradient_N = gradient.view(-1);
        var target_N = (compressed ? Work_C : Uncompressed_U).narrow(0, offset, slice.Count);
        var isFirst = _accumulated.Add(slice.Name);
        _finite = isFirst && compressed ? _error.Add(offset, gradient_N, target_N) : GradientSum.Write(isFirst ? null : target_N, gradient_N, target_N);
    }

    /// <summary>No more gradients come: slices without one have what was left out before, and an update to skip has zeros, so that no factorisation meets what is not finite.</summary>
    public void Complete()
    {
        Right_M[_plan.RightCount - 1].fill_(Number(_finite ? 0 : 1));
        if (!_finite)
        {
            Work_C.zero_();
            Uncompressed_U.zero_();
            return;
        }

        foreach (var (slice, offset) in _plan.Compressed.Where(piece => !_accumulated.Contains(piece.Slice.Name)))
        {
            _error.Read(offset, Work_C.narrow(0, offset, slice.Count));
        }

        foreach (var (slice, offset) in _plan.Uncompressed.Where(piece => !_accumulated.Contains(piece.Slice.Name)))
        {
            Uncompressed_U.narrow(0, offset, slice.Count).zero_();
        }
    }

    /// <summary>Takes the mean gradient, laid out as the shard, from what is compressed, which becomes 0 where it is not finite then.</summary>
    public void Subtract(Tensor gradient_N)
    {
        foreach (var run in _plan.CompressedRuns)
        {
            Work_C.narrow(0, run.Offset, run.Count).sub_(gradient_N.narrow(0, run.ShardOffset, run.Count)).nan_to_num_(0, 0, 0);
        }
    }

    /// <summary>Keeps what is left of what was compressed, and ends the update.</summary>
    public void Keep()
    {
        Work_C = _error.Exchange(Work_C);
        Restart();
    }

    /// <summary>Forgets the update.</summary>
    public void Restart()
    {
        _finite = true;
        _accumulated.Clear();
    }

    /// <summary>Copies what was left out so far.</summary>
    public void ReadError(Tensor error_C) => _error.Read(0, error_C);

    /// <summary>Replaces what was left out so far. What is not finite becomes 0.</summary>
    public void WriteError(Tensor error_C)
    {
        Work_C.copy_(error_C).nan_to_num_(0, 0, 0);
        Keep();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _error.Dispose();
        foreach (var tensor in (Tensor[])[Work_C, Left_K, Uncompressed_U, Right_M])
        {
            tensor.Dispose();
        }
    }
}
