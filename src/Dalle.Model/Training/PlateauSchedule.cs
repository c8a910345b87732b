using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>Halves the step size when the training loss no longer falls. The paper names the rule, not its numbers: these are ours.</summary>
/// <param name="Halvings">Halvings at most.</param>
/// <param name="Patience">Updates without a new best of the smoothed loss until a halving; also the least distance between two.</param>
/// <param name="Smoothing">Decay of the loss's moving average, per update.</param>
/// <param name="Improvement">Share by which the best must be beaten to count.</param>
public sealed record PlateauSchedule(int Halvings, int Patience = 5_000, double Smoothing = 0.998, double Improvement = 0.001);

/// <summary>The progress of a <see cref="PlateauSchedule"/>. All of it is in one small tensor, so that it travels with a checkpoint.</summary>
internal sealed class PlateauTracker : IDisposable
{
    private readonly PlateauSchedule _schedule;

    public PlateauTracker(PlateauSchedule schedule)
    {
        _schedule = schedule;
        State = tensor([0, double.PositiveInfinity, 0, 0]).DetachFromDisposeScope();
    }

    /// <summary>Smoothed loss, its best, updates since that best or the last halving, halvings: float64 <c>[4]</c> on the CPU.</summary>
    public Tensor State { get; }

    /// <summary>What the step size is multiplied by.</summary>
    public double Factor => Math.Pow(0.5, Values()[3]);

    /// <summary>Counts one update's loss.</summary>
    public void Observe(double loss)
    {
        var values = Values();
        ref var smoothed = ref values[0];
        ref var best = ref values[1];
        ref var since = ref values[2];
        ref var halvings = ref values[3];
        smoothed = double.IsPositiveInfinity(best) ? loss : (_schedule.Smoothing * smoothed) + ((1 - _schedule.Smoothing) * loss);
        since++;
        if (smoothed < best * (1 - _schedule.Improvement))
        {
            (best, since) = (smoothed, 0);
        }
        else if (since >= _schedule.Patience && halvings < _schedule.Halvings)
        {
            (halvings, since) = (halvings + 1, 0);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => State.Dispose();

    private Span<double> Values() => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(State.bytes);
}
