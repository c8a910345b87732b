using Dalle.Model.Parameters;
using Dalle.Model.Training;
using static Dalle.Model.Native.HeldScalars;
using static TorchSharp.torch;

namespace Dalle.Model.Tests.Training;

/// <summary>Gathers from trainers that hold a network's rows among them, and sums what workers give away. Arrays are there, and gradients read, as early as can be.</summary>
internal sealed class PartsExchange(IShardedTrainer whole, IReadOnlyList<IShardedTrainer> parts) : IWorkerExchange, IDisposable
{
    /// <summary>The sum of all gradients, laid out like the whole's.</summary>
    public Tensor Sum { get; } = zeros_like(whole.Network.Gradient).DetachFromDisposeScope();

    public Task Gather(NetworkWay way, string resblock, ParameterStore arrays)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var spec in arrays.Specs)
        {
            for (var part = 0; part < parts.Count; part++)
            {
                var name = resblock + spec.Name;
                HeldParts.Rows(whole.Network.Specs, part, parts.Count)[name].Of(arrays[spec.Name]).copy_(parts[part].Held.View(parts[part].Held.Master, name));
            }
        }

        return Task.CompletedTask;
    }

    public Task Reduce(string resblock, IReadOnlyList<ParameterStore> gradients)
    {
        foreach (var store in gradients)
        {
            Add(resblock, store, store.Gradient);
        }

        return Task.CompletedTask;
    }

    public void Add(int worker, Tensor gradient) => Add("", parts[0].Network, gradient);

    public void Dispose() => Sum.Dispose();

    private void Add(string prefix, ParameterStore arrays, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var untracked = no_grad();
        foreach (var spec in arrays.Specs)
        {
            whole.Network.View(Sum, prefix + spec.Name).add_(arrays.View(gradient, spec.Name), One);
        }
    }
}
