using Dalle.Model.Randomness;
using static TorchSharp.torch;

namespace Dalle.Collectives.Compression;

/// <summary>The random matrices Q that gradients are projected by: normally distributed, each matrix' from a stream of its own, a pure function of seed, period, ordinal and parameter name.</summary>
internal sealed class Projections : IDisposable
{
    private readonly CompressionPlan _plan;
    private readonly ulong _seed;
    private readonly Tensor _matrices_F;
    private long _period;

    public Projections(CompressionPlan plan, ulong seed, Device device)
    {
        (_plan, _seed) = (plan, seed);
        _matrices_F = zeros(plan.FactorCount, device: device).DetachFromDisposeScope();
        Draw();
    }

    /// <summary>The projections of an update: float32, laid out as the right factors.</summary>
    public Tensor Of(long step)
    {
        var period = _plan.Settings.ProjectionUpdates is { } updates ? step / updates : 0;
        if (period != _period)
        {
            _period = period;
            Draw();
        }

        return _matrices_F;
    }

    /// <inheritdoc/>
    public void Dispose() => _matrices_F.Dispose();

    private void Draw()
    {
        using var scope = NewDisposeScope();
        foreach (var batch in _plan.Batches)
        {
            var matrices_BKL = _matrices_F.narrow(0, batch.RightOffset, batch.RightCount).view(batch.Size, batch.Rank, batch.Longer);
            for (var i = 0; i < batch.Size; i++)
            {
                using var generator = CounterRandom.Generator(_seed, _period, _plan.Shard.Ordinal, Purpose.GradientProjection, batch.Slices[i].Name);
                matrices_BKL[i].copy_(randn(batch.Rank, batch.Longer, generator: generator));
            }
        }
    }
}
