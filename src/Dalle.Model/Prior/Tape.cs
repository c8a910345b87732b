using TorchSharp;
using static TorchSharp.torch;

namespace Dalle.Model.Prior;

/// <summary>What a forward pass keeps for its backward pass, which takes it back in reverse order.</summary>
internal sealed class Tape : IDisposable
{
    private readonly Stack<Tensor> _kept = new();

    /// <summary>Keeps a tensor beyond the dispose scope it was made in.</summary>
    public void Keep(Tensor tensor) => _kept.Push(tensor.DetachFromDisposeScope());

    /// <summary>Hands the tensor kept last to a dispose scope.</summary>
    public Tensor Take(DisposeScope scope)
    {
        var tensor = _kept.Pop();
        scope.Attach(tensor);
        return tensor;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_kept.TryPop(out var tensor))
        {
            tensor.Dispose();
        }
    }
}
