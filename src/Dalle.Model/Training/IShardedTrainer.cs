using Dalle.Model.Parameters;
using Dalle.Model.Safetensors;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>
/// A trainer whose updates several processes may do together. Workers compute gradients of their rows of a batch; each process applies the sum over all workers to the rows of each array that
/// it holds. What lies between these two halves of an update, and after them, is the caller's exchange: it brings the sum into <see cref="Held"/>'s gradient, and, where other processes hold
/// rows, the new rows of all into <see cref="Network"/>'s masters, then calls <see cref="ParameterStore.RefreshCompute"/> there; so too after a restored checkpoint.
/// </summary>
/// <remarks>Used only on its device's thread. Its named state is that of the held rows; what has no rows is the same in every process.</remarks>
public interface IShardedTrainer : ICheckpointed, IDisposable
{
    /// <summary>
    /// All rows of the arrays that are whole in every process: what computes, and what a worker's gradients are collected in. Where all rows are held these are all arrays; else those are
    /// missing that workers gather while they compute with them (<see cref="IWorkerExchange"/>).
    /// </summary>
    ParameterStore Network { get; }

    /// <summary>
    /// The masters of the held rows, which updates change, and the gradients that they are changed by: <see cref="Network"/> itself where all rows are held. Else a store of all
    /// arrays in the same order with fewer rows, 0 of those of which none is held.
    /// </summary>
    ParameterStore Held { get; }

    /// <summary>The moving average of the held rows, float32, laid out like <see cref="Held"/>'s masters.</summary>
    Tensor HeldAverage { get; }

    /// <summary>
    /// The moving average of all rows: what is evaluated and published. Where all rows are held its masters are <see cref="HeldAverage"/>. Else it is allocated when first asked for, and
    /// holds what the caller last gathered into its masters.
    /// </summary>
    ParameterStore Average { get; }

    /// <summary>
    /// The squared norm of the gradient in <see cref="Held"/>: added over the processes that hold all rows together, the square of the global norm. Not finite if the gradient is not.
    /// </summary>
    double SquaredNorm();
}
