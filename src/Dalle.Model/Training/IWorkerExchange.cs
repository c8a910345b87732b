using Dalle.Model.Parameters;
using static TorchSharp.torch;

namespace Dalle.Model.Training;

/// <summary>
/// What the workers of a process need of others while they compute the gradients of one update (paper, section 2.4): the arrays of a resblock, whole, for as long as they are computed with,
/// and a place for gradients.
/// </summary>
/// <remarks>
/// All processes of a replica must ask for the same in the same order; it then goes on beside the computation. The arrays that are read and written must stay alive and otherwise unused until
/// the task has ended, however it ends: at the latest some time after the exchange was disposed of, which gives up what is under way.
/// </remarks>
public interface IWorkerExchange : IDisposable
{
    /// <summary>Begins to gather the arrays of a resblock from the processes that hold their rows.</summary>
    /// <param name="way">To which end: once on each way through the network.</param>
    /// <param name="resblock">What the names of its parameters begin with.</param>
    /// <param name="arrays">Their names behind that, and what gets them: the compute copies, which a 16-bit format makes half as long.</param>
    Task Gather(NetworkWay way, string resblock, ParameterStore arrays);

    /// <summary>Begins to sum the gradients of a resblock over the workers of the replica, of which every process gets the rows that it holds.</summary>
    /// <param name="resblock">What the names of its parameters begin with.</param>
    /// <param name="gradients">A store of each worker that is here, with its collected gradients.</param>
    Task Reduce(string resblock, IReadOnlyList<ParameterStore> gradients);

    /// <summary>Takes a worker's gradient of the arrays that are whole in every process.</summary>
    /// <param name="worker">The worker's place among those that are here.</param>
    /// <param name="gradient">Laid out like that of <see cref="IShardedTrainer.Network"/>; may be changed after the call unless it is that very one and the process has no other worker.</param>
    void Add(int worker, Tensor gradient);
}

/// <summary>The two ways through a network.</summary>
public enum NetworkWay
{
    /// <summary>From the input to the losses.</summary>
    Forward = 0,

    /// <summary>From the losses to the gradients.</summary>
    Backward = 1,
}
