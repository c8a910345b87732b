using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static TorchSharp.torch;

namespace Dalle.Workers.Training;

/// <summary>An exchange with nobody: what is gathered stays as it is, and gradients are forgotten.</summary>
internal sealed class Rehearsal : IWorkerExchange
{
    public Task Gather(NetworkWay way, string resblock, ParameterStore arrays) => Task.CompletedTask;

    public Task Reduce(string resblock, IReadOnlyList<ParameterStore> gradients) => Task.CompletedTask;

    public void Add(int worker, Tensor gradient)
    {
    }

    public void Dispose()
    {
    }
}
