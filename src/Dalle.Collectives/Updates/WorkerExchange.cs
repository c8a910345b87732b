using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Collectives.Updates;

/// <summary>What the workers of a process gather and give away while they compute the gradients of one update.</summary>
/// <param name="groups">The groups that they belong to.</param>
/// <param name="held">The trainer's held rows.</param>
/// <param name="gradients">A buffer of each worker for its gradient of the arrays that are whole in every process; the first may be the network's own.</param>
/// <param name="step">The update's number.</param>
/// <param name="cancellationToken">Gives up waiting for the peers.</param>
internal sealed class WorkerExchange(WorkerGroups groups, ParameterStore held, IReadOnlyList<Tensor> gradients, long step, CancellationToken cancellationToken) : IWorkerExchange
{
    private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

    public Task Gather(NetworkWay way, string resblock, ParameterStore arrays) => groups.Gather(
        step, way == NetworkWay.Forward ? Operation.ResblocksForward : Operation.ResblocksBackward, resblock, held.Master, arrays, name => arrays[name].detach(), _ended.Token);

    public Task Reduce(string resblock, IReadOnlyList<ParameterStore> stores) =>
        groups.ReduceReplica(step, resblock, [.. stores.Select(store => (store, store.Gradient))], held.Gradient, _ended.Token);

    public void Add(int worker, Tensor gradient)
    {
        if (gradient.Handle != gradients[worker].Handle)
        {
            using var untracked = no_grad();
            gradients[worker].copy_(gradient);
        }
    }

    // A peer that is alive may never send what is waited for, once it has lost another one.
    public void Dispose()
    {
        _ended.Cancel();
        _ended.Dispose();
    }
}
